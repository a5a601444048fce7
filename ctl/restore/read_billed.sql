-- Is anything billed through Stripe?
SELECT (EXISTS (SELECT FROM billing_customers WHERE deleted_at IS NULL)
        AND EXISTS (SELECT FROM metrics WHERE transport <> 'none'))
       OR EXISTS (SELECT FROM usage_submissions WHERE state <> 'void')
