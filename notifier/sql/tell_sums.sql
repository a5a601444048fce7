-- Tells of sums that were reached, and of payments that only their invoice tells of.
SELECT tell_milestones(), tell_other_payments()
