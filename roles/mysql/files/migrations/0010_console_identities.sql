-- People who log in to the console at a provider of OpenID Connect.

-- Which user a person is. A person has one user, and a user is one person of a provider.
CREATE TABLE IF NOT EXISTS console_identity (
  issuer VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id INT UNSIGNED NOT NULL,
  linked_at DATETIME(3) NOT NULL,
  PRIMARY KEY (issuer, subject),
  UNIQUE KEY console_identity_user (user_id, issuer)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Logins that have come back from the provider: none does twice. The state is known by its hash.
CREATE TABLE IF NOT EXISTS console_oidc_used (
  state_hash BINARY(32) NOT NULL,
  used_at DATETIME(3) NOT NULL,
  PRIMARY KEY (state_hash),
  KEY console_oidc_used_time (used_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
