-- Projects, which bound the lines that their members see, and tokens, by which programs use the console's API.

-- A filter in the query language for each log; '' = no line of that log.
CREATE TABLE IF NOT EXISTS console_project (
  project_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(100) NOT NULL,
  access_filter TEXT NOT NULL,
  error_filter TEXT NOT NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (project_id),
  UNIQUE KEY console_project_name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS console_member (
  user_id INT UNSIGNED NOT NULL,
  project_id INT UNSIGNED NOT NULL,
  PRIMARY KEY (user_id, project_id),
  KEY console_member_project (project_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A token is known by its hash, as a session is.
CREATE TABLE IF NOT EXISTS console_token (
  token_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  token_hash BINARY(32) NOT NULL,
  user_id INT UNSIGNED NOT NULL,
  name VARCHAR(100) NOT NULL,
  role VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  used_at DATETIME(3) NULL,
  PRIMARY KEY (token_id),
  UNIQUE KEY console_token_hash (token_hash),
  KEY console_token_user (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A user without a password cannot log in by one: it is there for its tokens, or a proxy vouches for it.
-- Not every server has ADD COLUMN IF NOT EXISTS: as in 0002, the column itself shows whether it was added.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE console_user
  ADD COLUMN must_change TINYINT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY COLUMN password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'console_user' AND column_name = 'must_change');
PREPARE change_console_user FROM @change;
EXECUTE change_console_user;
DEALLOCATE PREPARE change_console_user;
