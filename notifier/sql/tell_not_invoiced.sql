-- Tells of usage that no invoice bills, and returns how much it is.
SELECT metric, units FROM tell_not_invoiced()
