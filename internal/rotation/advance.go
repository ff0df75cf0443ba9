package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// run is the job: it takes steps until one has to wait.
func (s *Service) run(ctx context.Context, args workArgs) error {
	ctx = audit.AsSystem(ctx, "certificate_rotation")
	for {
		wait, ended, err := s.Advance(ctx, args.Rotation)
		switch {
		case errors.Is(err, ErrMissing):
			return jobs.Stop(err) // it went with its tenant or connection
		case errors.Is(err, ErrChanged):
			return jobs.Later(time.Second, nil)
		case err != nil || ended:
			return err
		case wait > 0:
			return jobs.Later(wait, nil)
		}
	}
}

// Advance takes one step of a rotation, and says how long the next one has to wait,
// and whether it was the last. The error is for what may pass: the step is taken
// again.
func (s *Service) Advance(ctx context.Context, id string) (wait time.Duration, ended bool, err error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return 0, false, err
	}
	if r.EndedAt != nil {
		return 0, true, nil
	}
	at, err := s.Tenants.Directory(ctx, r.TenantID)
	if err != nil {
		return 0, false, err
	}
	switch r.State {
	case Planned:
		err = s.locating(ctx, r, at)
	case Adding:
		wait, err = s.adding(ctx, r)
	case Proving:
		wait, err = s.proving(ctx, r, at)
	case Switched:
		wait, err = s.switched(ctx, r, at)
	case Removing:
		wait, err = s.removing(ctx, r)
	case Withdrawing:
		wait, err = s.withdrawing(ctx, r)
	default:
		err = fmt.Errorf("advancing a rotation: its state is %q", r.State)
	}
	return wait, r.EndedAt != nil, err
}

// end ends a rotation in a state.
func (s *Service) end(ctx context.Context, r *row, as State, action, reason string) error {
	return s.move(ctx, r, as, action, func(r *row) {
		now := s.time()
		r.EndedAt, r.Reason, r.SentAt = &now, reason, nil
	})
}

// guide ends a rotation that Gatehouse cannot do by itself. The present certificate
// stays in use.
func (s *Service) guide(ctx context.Context, r *row, err error) error {
	return s.end(ctx, r, Guided, "rotation.guided", "Gatehouse cannot replace it by itself: "+err.Error())
}

// locating finds where the present key lies.
func (s *Service) locating(ctx context.Context, r *row, at tenant.Directory) error {
	old, err := s.certificate(ctx, r, "old_key")
	if err != nil {
		return err
	}
	if err := s.locate(ctx, r, at.DirectoryID, old); err != nil {
		if errors.Is(err, errElsewhere) || refused(err) {
			return s.guide(ctx, r, err)
		}
		return err
	}
	return s.move(ctx, r, Adding, "rotation.located", nil)
}

// adding sends addKey, once it is written down that it will be. After a crash in
// between it looks whether the key is there, and waits until every replica of the
// directory would show it, before it sends again.
func (s *Service) adding(ctx context.Context, r *row) (time.Duration, error) {
	old, err := s.certificate(ctx, r, "old_key")
	if err != nil {
		return 0, err
	}
	client, err := s.graph(ctx, r.DirectoryID, r, old)
	if err != nil {
		return 0, err
	}
	there, err := s.holder(ctx, r, client)
	if err != nil {
		return 0, err
	}
	id := there.find(r.NewThumbprint)
	if id == "" {
		if r.SentAt != nil && s.Now().Sub(*r.SentAt) < settle {
			return between, nil
		}
		if err := s.intend(ctx, r); err != nil {
			return 0, err
		}
		if id, err = s.add(ctx, r, client, old); refused(err) {
			return 0, s.guide(ctx, r, fmt.Errorf("adding the new key: %w", err))
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, s.move(ctx, r, Proving, "rotation.added", func(r *row) { r.NewKeyID, r.SentAt, r.Successes = id, nil, 0 })
}

// intend writes down that a call is about to be sent.
func (s *Service) intend(ctx context.Context, r *row) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := *r
		at := s.time()
		now.SentAt = &at
		if err := s.save(ctx, tx, &now); err != nil {
			return err
		}
		*r = now
		return nil
	})
}

// accepted tries the new certificate at the token endpoint of the tenant that it is
// used in.
func (s *Service) accepted(ctx context.Context, r *row, at tenant.Directory) (login.Certificate, error) {
	made, err := s.certificate(ctx, r, "new_key")
	if err != nil {
		return made, err
	}
	_, err = s.login.Certificate(ctx, at.DirectoryID, r.ClientID, made, []string{s.Cloud.GraphResource + "/.default"})
	return made, err
}

// proving counts sign-ins in a row. A new key is unknown to the token endpoint for a
// while (AADSTS700027), so a refusal only begins the count anew.
func (s *Service) proving(ctx context.Context, r *row, at tenant.Directory) (time.Duration, error) {
	_, err := s.accepted(ctx, r, at)
	if err != nil && !refused(err) {
		return between, s.count(ctx, r, 0, "the token endpoint gave no answer: "+err.Error())
	}
	if err != nil {
		if s.Now().Sub(r.CreatedAt) > longest {
			return 0, s.move(ctx, r, Withdrawing, "rotation.withdrawn", func(r *row) { r.Reason = "the new certificate was not accepted for a day: " + err.Error() })
		}
		return between, s.count(ctx, r, 0, "not accepted yet: "+err.Error())
	}
	if r.Successes+1 < Successes {
		return between, s.count(ctx, r, r.Successes+1, "")
	}
	return 0, s.swap(ctx, r)
}

// count notes sign-ins in a row.
func (s *Service) count(ctx context.Context, r *row, successes int, reason string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := *r
		now.Successes, now.Reason = successes, reason
		if err := s.save(ctx, tx, &now); err != nil {
			return err
		}
		*r = now
		return nil
	})
}

// swap puts the new certificate into use. If somebody replaced the old one
// meanwhile, theirs counts, and ours is withdrawn.
func (s *Service) swap(ctx context.Context, r *row) error {
	key, err := s.Keys.Open(ctx, "rotations", r.ID, "new_key", r.NewKey)
	if err != nil {
		return err
	}
	made := login.Made{Certificate: r.NewCertificate, Key: key, Thumbprint: r.NewThumbprint, NotAfter: r.NewNotAfter.UTC()}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		swapped := s.Tenants.SwapReader(ctx, tx, r.TenantID, r.OldThumbprint, made)
		if r.ConnectionID != nil {
			swapped = s.Connections.SwapCertificate(ctx, tx, *r.ConnectionID, r.OldThumbprint, made)
		}
		if swapped != nil {
			return swapped
		}
		now := *r
		now.State, now.Successes, now.Reason = Switched, Successes, ""
		if err := s.save(ctx, tx, &now); err != nil {
			return err
		}
		*r = now
		return nil
	})
	if errors.Is(err, tenant.ErrReplaced) || errors.Is(err, connection.ErrReplaced) {
		return s.move(ctx, r, Withdrawing, "rotation.withdrawn", func(r *row) { r.Reason = "somebody replaced the certificate meanwhile: theirs counts" })
	}
	return err
}

// switched lets whoever still holds the old certificate end, and removes it only
// while the new one is accepted.
func (s *Service) switched(ctx context.Context, r *row, at tenant.Directory) (time.Duration, error) {
	if left := grace - s.Now().Sub(r.ChangedAt); left > 0 && r.Reason == "" {
		return left, nil
	}
	if _, err := s.accepted(ctx, r, at); err != nil {
		return between, s.count(ctx, r, r.Successes, "the old key stays until the new certificate is accepted again: "+err.Error())
	}
	return 0, s.move(ctx, r, Removing, "rotation.removing", func(r *row) { r.Reason = "" })
}

// removing removes the old key, by the id that was noted, and no other.
func (s *Service) removing(ctx context.Context, r *row) (time.Duration, error) {
	made, err := s.certificate(ctx, r, "new_key")
	if err != nil {
		return 0, err
	}
	gone, err := s.removed(ctx, r, made, r.OldKeyID)
	switch {
	case refused(err) && s.Now().Sub(r.ChangedAt) > removeTries || errors.Is(err, errLast):
		return 0, s.end(ctx, r, Done, "rotation.done", "the new certificate is in use, but the old key could not be removed ("+err.Error()+"): remove the key "+r.OldKeyID+" by hand")
	case refused(err):
		return settle, nil // a new key can be unknown for a while here as well
	case err != nil:
		return 0, err
	case !gone:
		return between, nil
	}
	return 0, s.end(ctx, r, Done, "rotation.done", "")
}

// errLast says that the key that would be removed is the only one that there is.
var errLast = errors.New("the other key is not there any more")

// removed removes a key, and reports whether it is gone. It stays if the one that
// replaces it is not there.
func (s *Service) removed(ctx context.Context, r *row, by login.Certificate, keyID string) (bool, error) {
	client, err := s.graph(ctx, r.DirectoryID, r, by)
	if err != nil {
		return false, err
	}
	there, err := s.holder(ctx, r, client)
	if err != nil {
		return false, err
	}
	own, other := false, false
	for _, k := range there.Keys {
		own = own || k.KeyID == keyID
		other = other || k.KeyID != keyID && (print(k) == r.OldThumbprint || print(k) == r.NewThumbprint)
	}
	switch {
	case !own:
		return true, nil
	case !other:
		return false, errLast
	}
	return true, s.remove(ctx, r, client, by, keyID)
}

// withdrawing removes the new key again. The old certificate is in use.
func (s *Service) withdrawing(ctx context.Context, r *row) (time.Duration, error) {
	reason := r.Reason
	if r.ObjectID == "" {
		return 0, s.end(ctx, r, Undone, "rotation.undone", reason) // nothing was sent
	}
	old, err := s.certificate(ctx, r, "old_key")
	if err != nil {
		return 0, err
	}
	if r.NewKeyID == "" {
		id, wait, err := s.sought(ctx, r, old)
		if refused(err) {
			return 0, s.end(ctx, r, Undone, "rotation.undone", reason+"; whether the new key "+r.NewThumbprint+" was added could not be read ("+err.Error()+"): look, and remove it by hand")
		}
		if err != nil || wait > 0 {
			return wait, err
		}
		if id == "" {
			return 0, s.end(ctx, r, Undone, "rotation.undone", reason)
		}
		r.NewKeyID = id
	}
	if _, err := s.removed(ctx, r, old, r.NewKeyID); err != nil {
		if refused(err) || errors.Is(err, errLast) {
			return 0, s.end(ctx, r, Undone, "rotation.undone", reason+"; the new key could not be removed ("+err.Error()+"): remove the key "+r.NewKeyID+" by hand")
		}
		return 0, err
	}
	return 0, s.end(ctx, r, Undone, "rotation.undone", reason)
}

// sought looks for a new key of which it is not known whether it was added: until
// every replica of the directory would show it.
func (s *Service) sought(ctx context.Context, r *row, old login.Certificate) (string, time.Duration, error) {
	client, err := s.graph(ctx, r.DirectoryID, r, old)
	if err != nil {
		return "", 0, err
	}
	there, err := s.holder(ctx, r, client)
	if err != nil {
		return "", 0, err
	}
	id := there.find(r.NewThumbprint)
	if id == "" && s.Now().Sub(r.ChangedAt) < settle {
		return "", between, nil
	}
	return id, 0, nil
}
