DROP SCHEMA IF EXISTS views CASCADE;
CREATE SCHEMA views;
SET search_path = views;
-- What can be built anew from the log need not wait for the disk at each commit: the views do not either.
SET synchronous_commit = off;

-- Room in each page, so that what changes no index stays in its page.
CREATE TABLE case_view (
    id uuid PRIMARY KEY,
    grid bigint NOT NULL,
    open boolean NOT NULL,
    state smallint NOT NULL,
    level smallint NOT NULL,
    overdue boolean NOT NULL,
    category text NOT NULL,
    area bigint NOT NULL,
    unit text,
    person text,
    policy int NOT NULL,
    latitude_cell int,
    longitude_cell int,
    body bytea NOT NULL
) WITH (fillfactor = 60);
CREATE INDEX ON case_view (grid, id);
CREATE INDEX ON case_view (area, level, unit, person) WHERE open;
CREATE INDEX ON case_view (latitude_cell, longitude_cell) WHERE open;

-- Beside the cases, since nearly every event of a case moves it here.
CREATE TABLE due (
    id uuid PRIMARY KEY,
    moment bigint NOT NULL,
    grid bigint NOT NULL,
    level smallint NOT NULL
) WITH (fillfactor = 60);
CREATE INDEX ON due (moment, id);

CREATE TABLE category (
    area bigint,
    category text,
    open bigint NOT NULL,
    reported bigint NOT NULL,
    PRIMARY KEY (area, category)
) WITH (fillfactor = 50);
CREATE TABLE unit (number bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE day_duration (
    scope bigint,
    day int,
    step smallint,
    bucket smallint,
    count bigint NOT NULL,
    PRIMARY KEY (scope, day, step, bucket)
) WITH (fillfactor = 50);
CREATE TABLE head (area bigint PRIMARY KEY, hash bytea NOT NULL) WITH (fillfactor = 50);
CREATE TABLE place_in_log (position bigint NOT NULL);
INSERT INTO place_in_log VALUES (0);
