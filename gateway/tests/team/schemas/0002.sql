BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at_us BIGINT NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	subject VARCHAR(64) NOT NULL, 
	details JSON NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE TABLE contents (
	at_us BIGINT NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	request TEXT NOT NULL, 
	reply TEXT NOT NULL, 
	CONSTRAINT pk_contents PRIMARY KEY (at_us, id)
);
CREATE TABLE error_days (
	day VARCHAR(10) NOT NULL, 
	error VARCHAR(64) NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	target VARCHAR(256) NOT NULL, 
	calls BIGINT NOT NULL, 
	CONSTRAINT pk_error_days PRIMARY KEY (day, error, outcome, target)
);
CREATE TABLE journals (
	name VARCHAR(64) NOT NULL, 
	position BIGINT NOT NULL, 
	at_us BIGINT NOT NULL, 
	CONSTRAINT pk_journals PRIMARY KEY (name)
);
CREATE TABLE keys (
	id VARCHAR(32) NOT NULL, 
	project_id VARCHAR(32), 
	name VARCHAR(200) NOT NULL, 
	shown VARCHAR(32) NOT NULL, 
	digest BLOB NOT NULL, 
	old_digest BLOB, 
	old_until_us BIGINT, 
	models JSON, 
	providers JSON, 
	created_us BIGINT NOT NULL, 
	rotated_us BIGINT, 
	expires_us BIGINT, 
	revoked_us BIGINT, 
	CONSTRAINT pk_keys PRIMARY KEY (id), 
	CONSTRAINT fk_keys_project_id FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT uq_keys_digest UNIQUE (digest), 
	CONSTRAINT uq_keys_old_digest UNIQUE (old_digest)
);
INSERT INTO "keys" VALUES('k',NULL,'kept','cpk_kept',X'0000000000000000000000000000000000000000000000000000000000000000',NULL,NULL,NULL,NULL,1,NULL,NULL,NULL);
CREATE TABLE limits (
	holder VARCHAR(64) NOT NULL, 
	usd_day_nano BIGINT, 
	usd_month_nano BIGINT, 
	usd_total_nano BIGINT, 
	requests_per_minute BIGINT, 
	tokens_per_minute BIGINT, 
	concurrency BIGINT, 
	CONSTRAINT pk_limits PRIMARY KEY (holder)
);
CREATE TABLE projects (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	created_us BIGINT NOT NULL, 
	closed_us BIGINT, 
	CONSTRAINT pk_projects PRIMARY KEY (id), 
	CONSTRAINT uq_projects_name UNIQUE (name)
);
CREATE TABLE spent (
	holder VARCHAR(64) NOT NULL, 
	window VARCHAR(16) NOT NULL, 
	usd_nano BIGINT NOT NULL, 
	tokens BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	CONSTRAINT pk_spent PRIMARY KEY (holder, window)
);
CREATE TABLE usage (
	at_us BIGINT NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	request_id VARCHAR(128) NOT NULL, 
	key_id VARCHAR(32), 
	project_id VARCHAR(32), 
	surface VARCHAR(32) NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	target VARCHAR(256), 
	stream BOOLEAN NOT NULL, 
	status INTEGER NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	error VARCHAR(64), 
	finish_reason VARCHAR(32), 
	is_partial BOOLEAN NOT NULL, 
	attempts JSON, 
	input_tokens BIGINT, 
	output_tokens BIGINT, 
	cached_input_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	reasoning_tokens BIGINT, 
	usd_nano BIGINT, 
	is_estimate BOOLEAN NOT NULL, 
	reserved_nano BIGINT, 
	cost FLOAT, 
	currency VARCHAR(8), 
	cost_basis VARCHAR(256), 
	queue_seconds FLOAT, 
	first_seconds FLOAT, 
	seconds FLOAT NOT NULL, 
	vendor_request_id VARCHAR(256), 
	request_hash VARCHAR(64), 
	reply_hash VARCHAR(64), 
	CONSTRAINT pk_usage PRIMARY KEY (at_us, id)
);
CREATE TABLE usage_days (
	day VARCHAR(10) NOT NULL, 
	key_id VARCHAR(32) NOT NULL, 
	project_id VARCHAR(32) NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	target VARCHAR(256) NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	calls BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	usd_nano BIGINT NOT NULL, 
	unknown_cost_calls BIGINT NOT NULL, 
	seconds FLOAT NOT NULL, 
	CONSTRAINT pk_usage_days PRIMARY KEY (day, key_id, project_id, model, target, outcome)
);
CREATE TABLE usage_sums (
	kind VARCHAR(8) NOT NULL, 
	day VARCHAR(10) NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	calls BIGINT NOT NULL, 
	failed_calls BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	usd_nano BIGINT NOT NULL, 
	unknown_cost_calls BIGINT NOT NULL, 
	seconds FLOAT NOT NULL, 
	CONSTRAINT pk_usage_sums PRIMARY KEY (kind, day, name)
);
CREATE INDEX ix_keys_project_id ON keys (project_id);
CREATE INDEX ix_usage_key_id_at_us ON usage (key_id, at_us);
CREATE INDEX ix_usage_project_id_at_us ON usage (project_id, at_us);
CREATE INDEX ix_keys_shown ON keys (shown);
CREATE INDEX ix_usage_outcome_at_us ON usage (outcome, at_us, id) WHERE outcome != 'ok';
COMMIT;

