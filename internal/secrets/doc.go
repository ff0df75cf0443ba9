// Package secrets holds secrets so that they cannot print themselves ([Value]),
// and seals them before they reach the database ([Keyring]).
//
// # For features
//
// A column of sealed secrets is of the type bytea. Its feature declares it as a
// [Column] that the server hands to [OpenKeyring], so that a rotation of the keys
// reaches it, and seals and opens with the place:
//
//	sealed, err := keyring.Seal(ctx, tx, "connections", c.ID, "password", password)
//	password, err := keyring.Open(ctx, "connections", c.ID, "password", sealed)
//
// What is sealed for one table, row and column opens nowhere else; so the key of
// the row, a text that is never empty, must be known beforehand and stay. A column
// may be empty where there is no secret; what is empty does not open. Secrets of
// the installation itself are asked for by name ([Keyring.SigningKey]).
//
// # Keys
//
// Secrets are encrypted with AES-256-GCM by the primary key of a keyset of Tink.
// The keyset lies in the database, wrapped by a master key that does not: a
// [FileKey], or whatever else is a [KeyWrapper]. At the first start the key file
// is made, for its owner alone, and [Keyring.Notice] says loudly that it must be
// backed up. A key that is missing, belongs to another database, is damaged or can
// be read by others stops the start.
//
// # Rotation
//
// [Keyring.BeginRotation] and then [Keyring.Rotate], step by step, as a job calls
// it, while all replicas go on working:
//
//	steady ──► distributed ──► promoted ──► steady
//
// distributed: the new key is in the keyset; every replica can open what it will
// seal. promoted: the new key seals; when every replica knows that, all columns
// are gone over in small transactions and what older keys sealed is sealed again.
// When nothing is left of theirs, the older keys are taken out of the keyset.
//
// Between the states lies the time to settle ([Config]), in which each replica
// has called [Keyring.Reload]. A replica that was held up longer looks by itself
// before it seals, and when it meets a key that it does not know. And should it
// store something after the key was retired, the transaction is not committed
// ([ErrRotated]): nothing is ever lost, however slow a replica is. Each step is
// one transaction that names the version of the keyset that it was decided on, so
// a crash at any point leaves a state that the next step goes on from.
package secrets
