-- That preview beside Stripe's.
-- $1 text: JSON of preview_invoice
-- $2 text: JSON of Stripe's invoice; NULL: Stripe says that nothing is upcoming
SELECT compare_preview($1::jsonb, $2::jsonb)::text
