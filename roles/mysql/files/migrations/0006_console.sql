-- The people who use the console, their sessions, and what they changed. No log line is in these tables.

CREATE TABLE IF NOT EXISTS console_user (
  user_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  role VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  disabled TINYINT UNSIGNED NOT NULL DEFAULT 0,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (user_id),
  UNIQUE KEY console_user_name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A session is known by the hash of its token: who reads the table cannot use one.
CREATE TABLE IF NOT EXISTS console_session (
  token_hash BINARY(32) NOT NULL,
  user_id INT UNSIGNED NOT NULL,
  client_addr VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_agent VARCHAR(255) NOT NULL DEFAULT '',
  created_at DATETIME(3) NOT NULL,
  seen_at DATETIME(3) NOT NULL,
  PRIMARY KEY (token_hash),
  KEY console_session_user (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Failed logins of a name, of an address, and of both together.
CREATE TABLE IF NOT EXISTS console_login_failure (
  counted VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  failures INT UNSIGNED NOT NULL,
  last_at DATETIME(3) NOT NULL,
  PRIMARY KEY (counted),
  KEY console_login_failure_time (last_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS console_audit (
  audit_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  happened_at DATETIME(3) NOT NULL,
  actor VARCHAR(64) NOT NULL,
  client_addr VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  action VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object VARCHAR(255) NOT NULL,
  detail VARCHAR(1024) NOT NULL DEFAULT '',
  PRIMARY KEY (audit_id),
  KEY console_audit_time (happened_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Searches that people keep by name; the state is JSON: the parameters of the search.
CREATE TABLE IF NOT EXISTS console_query (
  user_id INT UNSIGNED NOT NULL,
  name VARCHAR(100) NOT NULL,
  shared TINYINT UNSIGNED NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (user_id, name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
