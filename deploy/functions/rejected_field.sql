-- A field of a rejected entry as text; NULL if it has none of that name.
CREATE OR REPLACE FUNCTION rejected_field(p_fields jsonb, p_name text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT f->>1 FROM jsonb_array_elements(p_fields) WITH ORDINALITY AS e (f, place)
     WHERE f->>0 = p_name ORDER BY place LIMIT 1
$$;

COMMENT ON FUNCTION rejected_field IS 'A field of a rejected entry as text; NULL where there is none of that name.';
