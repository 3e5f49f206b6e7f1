-- Made before the worker starts, as Debezium advises where the columns' types matter. With
-- schema.evolution=basic the connector would make them, and its tasks would race for it.
-- Keys only: the peer keeps no index beside them, which is in its favour.
CREATE TABLE golden_record_changes (
  subject text NOT NULL,
  version bigint NOT NULL,
  commit_time bigint NOT NULL,
  kind text NOT NULL,
  object_type text NOT NULL,
  state text NOT NULL,             -- alive, removed
  object jsonb,                    -- NULL if removed
  PRIMARY KEY (subject, version)
);
-- Room beside each row for its next state, as goldwire's own table has.
CREATE TABLE golden_records (
  subject text NOT NULL,
  version bigint NOT NULL,
  commit_time bigint NOT NULL,
  kind text NOT NULL,
  object_type text NOT NULL,
  state text NOT NULL,
  object jsonb,
  PRIMARY KEY (subject)
) WITH (fillfactor = 70);
