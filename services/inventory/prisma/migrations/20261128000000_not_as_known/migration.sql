-- How a statement that was decided on something remembered fails as a whole, where that is not so any
-- more (serialization_failure): whoever sees it decides again.
CREATE FUNCTION not_as_known() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a level or a reservation is not what it is known as' USING ERRCODE = '40001';
END $$;
