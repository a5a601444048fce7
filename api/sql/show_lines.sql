-- Lines of an invoice, as the API gives them.
-- $1 text: JSON array of Stripe's lines
-- $2 text: currency
SELECT coalesce(jsonb_agg(stripe_line(l.line, $2::text) ORDER BY l.place), '[]')::text
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY l (line, place)
