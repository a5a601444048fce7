-- Lets events of a customer's subscriptions and invoices be worked again that had no tenant when they came.
-- $1 text: Stripe's customer id
UPDATE webhook_events
   SET state = 'received', attempts = 0, next_attempt_at = now(), processed_at = NULL
 WHERE state IN ('received', 'ignored')
   AND (type LIKE 'customer.subscription.%' OR type LIKE 'invoice.%')
   AND error LIKE 'no tenant:%'
   AND coalesce(payload #>> '{data,object,customer,id}', payload #>> '{data,object,customer}')
       = $1::text
