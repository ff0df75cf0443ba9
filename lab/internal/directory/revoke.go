package directory

import "time"

// Portal is where an administrator resets a password: the two revoke
// different things (entra-sign-in §8).
type Portal string

// The portals.
const (
	AzurePortal      Portal = "azure_portal"
	EntraAdminCentre Portal = "entra_admin_centre"
)

// SetPassword changes the password. A change by the person, and a reset in the
// Azure portal, revoke what a password had opened for the person's own devices;
// a reset in the Entra admin centre revokes every refresh token besides.
func (u *User) SetPassword(hash []byte, by Portal, now time.Time) {
	u.PasswordHash, u.PasswordChanged, u.PasswordExpired = hash, now, false
	u.PasswordValidFrom = now
	if by == EntraAdminCentre {
		u.RefreshValidFrom = now
	}
}

// Revoke ends all sessions and refresh tokens of the user.
func (u *User) Revoke(now time.Time) { u.TokensValidFrom = now }

// A Remnant is something that a sign-in left behind: the cookie of a browser's
// session, or a refresh token.
type Remnant struct {
	Cookie       bool
	Password     bool // a password opened it
	Confidential bool // refresh token of a client with a credential
	Issued       time.Time
}

// Revoked reports whether a remnant of the user is good no more, and since
// when others are (entra-sign-in §8, table).
func (u *User) Revoked(a Remnant) (since time.Time, revoked bool) {
	limits := []time.Time{u.TokensValidFrom}
	if a.Password && !a.Confidential {
		limits = append(limits, u.PasswordValidFrom)
	}
	if !a.Cookie {
		limits = append(limits, u.RefreshValidFrom)
	}
	for _, limit := range limits {
		if a.Issued.Before(limit) && limit.After(since) {
			since = limit
		}
	}
	return since, !since.IsZero()
}
