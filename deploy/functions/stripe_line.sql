-- A line of an invoice as Stripe gives it, of all versions of its API, in our words.
-- https://docs.stripe.com/api/invoice-line-item/object: parent and pricing from 2025-03-31.basil.
CREATE OR REPLACE FUNCTION stripe_line(p_line jsonb, p_currency text) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_strip_nulls(jsonb_build_object(
    'id', p_line -> 'id', 'description', p_line -> 'description',
    'price', coalesce(p_line #>> '{pricing,price_details,price,id}', p_line #>> '{pricing,price_details,price}',
                      p_line #>> '{price,id}', p_line ->> 'price'),
    'item', coalesce(p_line #>> '{parent,subscription_item_details,subscription_item}',
                     p_line #>> '{parent,invoice_item_details,subscription_item}', p_line ->> 'subscription_item'),
    'quantity', coalesce(p_line ->> 'quantity_decimal', p_line ->> 'quantity'),
    'proration', coalesce((p_line #>> '{parent,subscription_item_details,proration}')::boolean,
                          (p_line #>> '{parent,invoice_item_details,proration}')::boolean,
                          (p_line ->> 'proration')::boolean, false),
    'period_start', time_text(to_timestamp((p_line #>> '{period,start}')::float8)),
    'period_end', time_text(to_timestamp((p_line #>> '{period,end}')::float8)),
    'amount', shown_amount(p_line -> 'amount', coalesce(p_line ->> 'currency', p_currency)),
    'discount', shown_amount(to_jsonb((SELECT sum((d ->> 'amount')::numeric)
        FROM jsonb_array_elements(CASE jsonb_typeof(p_line -> 'discount_amounts') WHEN 'array' THEN p_line -> 'discount_amounts'
                                       ELSE '[]' END) d)), p_currency),
    'tax', shown_amount(to_jsonb((SELECT sum((t ->> 'amount')::numeric)
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(p_line -> 'taxes') = 'array' THEN p_line -> 'taxes'
                                       WHEN jsonb_typeof(p_line -> 'tax_amounts') = 'array' THEN p_line -> 'tax_amounts'
                                       ELSE '[]' END) t)), p_currency)));

COMMENT ON FUNCTION stripe_line IS 'A line of an invoice as Stripe gives it, in our words.';
