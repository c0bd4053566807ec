CREATE TABLE event (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id uuid NOT NULL,
    grid bigint NOT NULL,
    bytes bytea NOT NULL
);
CREATE TABLE reported_case (
    id uuid PRIMARY KEY,
    grid bigint NOT NULL,
    state smallint NOT NULL,
    level smallint NOT NULL,
    category text NOT NULL,
    due_at timestamptz NOT NULL,
    position bigint NOT NULL
);
-- Room in each page, so that an update needs neither a new page nor an entry in the index.
CREATE TABLE counter (
    area bigint,
    slot smallint,
    reported bigint NOT NULL,
    PRIMARY KEY (area, slot)
) WITH (fillfactor = 20);

-- A transaction of one round trip. The counters come last and the district's, which all want, at the very end.
CREATE FUNCTION report(id uuid, grid bigint, community bigint, street bigint, district bigint, slot smallint, bytes bytea)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE place bigint;
BEGIN
    INSERT INTO event (case_id, grid, bytes) VALUES (report.id, report.grid, report.bytes)
        RETURNING position INTO place;
    INSERT INTO reported_case
        VALUES (report.id, report.grid, 0, 0, 'dispute.neighbour', now() + interval '1 day', place);
    INSERT INTO counter VALUES (report.grid, report.slot, 1)
        ON CONFLICT (area, slot) DO UPDATE SET reported = counter.reported + 1;
    INSERT INTO counter VALUES (report.community, report.slot, 1)
        ON CONFLICT (area, slot) DO UPDATE SET reported = counter.reported + 1;
    INSERT INTO counter VALUES (report.street, report.slot, 1)
        ON CONFLICT (area, slot) DO UPDATE SET reported = counter.reported + 1;
    INSERT INTO counter VALUES (report.district, report.slot, 1)
        ON CONFLICT (area, slot) DO UPDATE SET reported = counter.reported + 1;
    RETURN place;
END $$;

-- Many reports in one transaction, set by set. The areas are each named once, the small ones first.
CREATE FUNCTION report_many(ids uuid[], grids bigint[], bytes bytea[], areas bigint[], counts bigint[])
RETURNS void LANGUAGE sql AS $$
    WITH placed AS (
        INSERT INTO event (case_id, grid, bytes)
        SELECT * FROM unnest(ids, grids, bytes)
        RETURNING case_id, grid, position
    )
    INSERT INTO reported_case
    SELECT case_id, grid, 0, 0, 'dispute.neighbour', now() + interval '1 day', position FROM placed;
    INSERT INTO counter
    SELECT area, 0, count FROM unnest(areas, counts) AS counted (area, count)
    ON CONFLICT (area, slot) DO UPDATE SET reported = counter.reported + excluded.reported;
$$;
