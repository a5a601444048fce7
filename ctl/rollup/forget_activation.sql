-- Make room for the rollup of activation.
DELETE FROM rollup_activation
