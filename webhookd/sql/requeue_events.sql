-- Takes up again the events of a customer's subscriptions and invoices that had no tenant when they came.
-- $1 text: Stripe's customer id
update webhook_events
   set state = 'received', attempts = 0, next_attempt_at = now(), processed_at = null
 where state in ('received', 'ignored')
   and (type like 'customer.subscription.%' or type like 'invoice.%')
   and error like 'no tenant:%'
   and coalesce(payload #>> '{data,object,customer,id}', payload #>> '{data,object,customer}')
       = $1::text
