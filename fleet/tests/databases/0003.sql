BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE boot (
	node INTEGER NOT NULL, 
	boot BIGINT NOT NULL, 
	epoch_s BIGINT, 
	tq INTEGER NOT NULL, 
	pruned BIGINT NOT NULL, 
	pruned_seq BIGINT NOT NULL, 
	PRIMARY KEY (node, boot)
)
 WITHOUT ROWID

;
CREATE TABLE claim (
	mac TEXT NOT NULL, 
	node INTEGER NOT NULL, 
	batch TEXT NOT NULL, 
	until_s BIGINT NOT NULL, 
	firmware TEXT NOT NULL, 
	first_s BIGINT NOT NULL, 
	last_s BIGINT NOT NULL, 
	accepted_s BIGINT, 
	accepted_by TEXT NOT NULL, 
	issued_s BIGINT, 
	issues INTEGER NOT NULL, 
	PRIMARY KEY (mac), 
	UNIQUE (node)
);
INSERT INTO "claim" VALUES('240ac4000001',3,'b7',1893456000,'0.1.0',1785758400,1785758460,1785758430,'ops@example',1785758460,1);
CREATE TABLE command (
	id TEXT NOT NULL, 
	node INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	args BLOB NOT NULL, 
	issued_s BIGINT NOT NULL, 
	expires_s BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	status INTEGER NOT NULL, 
	code INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	result BLOB NOT NULL, 
	replied_ms BIGINT, 
	sent_ms BIGINT, 
	sent INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "command" VALUES('0101010101010101',1,'identify',X'A1677365636F6E647305',1763800000,0,'me',0,0,'',X'A0',NULL,NULL,0);
CREATE TABLE dead_letter (
	"key" INTEGER NOT NULL, 
	digest BLOB NOT NULL, 
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	reason TEXT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	last_ms BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	PRIMARY KEY ("key"), 
	UNIQUE (digest)
);
INSERT INTO "dead_letter" VALUES(1,X'A0F7F5D7D6CD101078962B8D8751C2A4','lum/1/air-1/up/tele',X'01','Batch is not a map',1763800000000,1763800000000,1);
CREATE TABLE event (
	node INTEGER NOT NULL, 
	boot BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	ts BIGINT NOT NULL, 
	tq INTEGER NOT NULL, 
	code INTEGER NOT NULL, 
	phase INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	received_ms BIGINT NOT NULL, 
	PRIMARY KEY (node, boot, seq)
)
 WITHOUT ROWID

;
INSERT INTO "event" VALUES(1,29000000,3,1763800000,4,2,0,X'85031A692173C0040200',1763800000000);
CREATE TABLE heartbeat (
	node INTEGER NOT NULL, 
	boot BIGINT NOT NULL, 
	up_s BIGINT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	health JSON NOT NULL, 
	PRIMARY KEY (node, boot, up_s)
)
 WITHOUT ROWID

;
CREATE TABLE latest (
	node INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	boot BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	tq INTEGER NOT NULL, 
	interval_s INTEGER NOT NULL, 
	"values" JSON NOT NULL, 
	received_ms BIGINT NOT NULL, 
	PRIMARY KEY (node)
);
INSERT INTO "latest" VALUES(1,1763800120,29000000,2,4,60,'{"1": 20, "2": 2}',1763800000000);
CREATE TABLE node (
	"key" INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	board TEXT NOT NULL, 
	standing TEXT NOT NULL, 
	cert_serial TEXT NOT NULL, 
	cert_sha256 TEXT NOT NULL, 
	cert_until_s BIGINT NOT NULL, 
	boot0 BIGINT NOT NULL, 
	added_s BIGINT NOT NULL, 
	retired_s BIGINT, 
	tags JSON NOT NULL, 
	last_seen_ms BIGINT, 
	kept_hour INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	UNIQUE (id)
);
INSERT INTO "node" VALUES(1,'air-1','air','board','accepted','0','',0,0,0,NULL,'{}',1763800000000,0);
INSERT INTO "node" VALUES(2,'air-2','air','board','accepted','0','',0,0,0,NULL,'{}',NULL,0);
INSERT INTO "node" VALUES(3,'light-1','light','board','accepted','0','',0,0,0,NULL,'{}',NULL,0);
CREATE TABLE node_config (
	node INTEGER NOT NULL, 
	rev BIGINT NOT NULL, 
	"values" JSON NOT NULL, 
	issued_s BIGINT NOT NULL, 
	probation_s INTEGER NOT NULL, 
	sent_rev BIGINT NOT NULL, 
	sent_ms BIGINT NOT NULL, 
	PRIMARY KEY (node)
);
INSERT INTO "node_config" VALUES(1,1,'{"1": 30}',1763800000,600,0,0);
CREATE TABLE node_log (
	"key" INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	received_ms BIGINT NOT NULL, 
	boot BIGINT NOT NULL, 
	up_ms BIGINT NOT NULL, 
	level INTEGER NOT NULL, 
	tag TEXT NOT NULL, 
	text TEXT NOT NULL, 
	dropped BIGINT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE node_state (
	node INTEGER NOT NULL, 
	online BOOLEAN NOT NULL, 
	received_ms BIGINT NOT NULL, 
	boot BIGINT NOT NULL, 
	firmware TEXT NOT NULL, 
	slot TEXT NOT NULL, 
	config_desired BIGINT NOT NULL, 
	config_applied BIGINT NOT NULL, 
	config_error INTEGER NOT NULL, 
	config_path TEXT NOT NULL, 
	safe_mode BOOLEAN NOT NULL, 
	health JSON NOT NULL, 
	PRIMARY KEY (node)
);
CREATE TABLE record (
	node INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	boot BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	tq INTEGER NOT NULL, 
	interval_s INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	received_ms BIGINT NOT NULL, 
	PRIMARY KEY (node, ts, boot, seq), 
	CONSTRAINT record_identity UNIQUE (node, boot, seq)
)
 WITHOUT ROWID

;
INSERT INTO "record" VALUES(1,1763800000,29000000,0,4,60,X'84001A692173C004A201000200',1763800000000);
INSERT INTO "record" VALUES(1,1763800060,29000000,1,4,60,X'84011A692173FC04A2010A0201',1763800000000);
INSERT INTO "record" VALUES(1,1763800120,29000000,2,4,60,X'84021A6921743804A201140202',1763800000000);
CREATE TABLE release (
	digest BLOB NOT NULL, 
	product TEXT NOT NULL, 
	version TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	manifest BLOB NOT NULL, 
	size BIGINT NOT NULL, 
	base BLOB NOT NULL, 
	envelope BLOB NOT NULL, 
	published_s BIGINT NOT NULL, 
	published_by TEXT NOT NULL, 
	yanked_s BIGINT, 
	yanked_by TEXT NOT NULL, 
	yanked_reason TEXT NOT NULL, 
	PRIMARY KEY (digest), 
	CONSTRAINT release_version UNIQUE (product, version), 
	CONSTRAINT release_sequence UNIQUE (product, sequence)
);
INSERT INTO "release" VALUES(X'A4D451EC23463726F72C43D64C710968F6B602CD653B4DE8ADEE1B556240A829','air','0.1.0',3103200,X'05B3ABF2579A5EB66403CD78BE557FD860633A1FE2103C7642030DEFE32C657F',98304,X'',X'A1014100',1785758400,'ops@example',1785758500,'ops@example','a test');
CREATE TABLE rollup_1h (
	node INTEGER NOT NULL, 
	channel INTEGER NOT NULL, 
	hour INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	low BIGINT NOT NULL, 
	high BIGINT NOT NULL, 
	total BIGINT NOT NULL, 
	PRIMARY KEY (node, channel, hour)
)
 WITHOUT ROWID

;
CREATE TABLE rollup_due (
	hour INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	PRIMARY KEY (hour, node)
)
 WITHOUT ROWID

;
INSERT INTO "rollup_due" VALUES(489944,1);
CREATE TABLE service_stat (
	t_ms BIGINT NOT NULL, 
	figures JSON NOT NULL, 
	PRIMARY KEY (t_ms)
);
CREATE INDEX record_undated ON record (node, boot) WHERE tq < 2;
CREATE INDEX event_ts ON event (ts);
CREATE INDEX heartbeat_time ON heartbeat (received_ms);
CREATE INDEX node_log_node ON node_log (node, "key");
CREATE INDEX node_log_time ON node_log (received_ms);
CREATE INDEX command_open ON command (node) WHERE status = 0;
CREATE INDEX command_node ON command (node, issued_s);
CREATE INDEX command_time ON command (issued_s);
CREATE INDEX dead_letter_time ON dead_letter (last_ms);
CREATE INDEX claim_batch ON claim (batch);
CREATE INDEX release_manifest ON release (manifest);
COMMIT;
