package campaign

import (
	"fmt"
	"strings"
)

// why is the reason in a sentence for the people who are asked.
func why(c Campaign) string {
	switch c.Reason {
	case NewClientID:
		return fmt.Sprintf("%s has a new app registration, so everybody signs in once more.", c.RegistrationName)
	case NewManifest:
		return fmt.Sprintf("%s needs other permissions than before, so everybody signs in once more.", c.RegistrationName)
	case NewCredential:
		return fmt.Sprintf("The credential of %s was replaced, so everybody signs in once more.", c.RegistrationName)
	case Revocation:
		return fmt.Sprintf("The sign-ins to %s were revoked, so everybody signs in once more.", c.RegistrationName)
	default:
		return fmt.Sprintf("Everybody is asked to sign in to %s once more.", c.RegistrationName)
	}
}

// Letter is what somebody is written: subject and text, which holds no link.
func Letter(c Campaign, p Person) (subject, text string) {
	lines := []string{why(c)}
	if p.Username != "" {
		lines = append(lines, "Sign in as "+p.Username+".")
	}
	if c.Note != "" {
		lines = append(lines, c.Note)
	}
	if c.Deadline != nil {
		lines = append(lines, "Please do so by "+c.Deadline.In(c.location()).Format("2 January 2006, 15:04 MST")+".")
	}
	switch {
	case p.ConnectionID != "":
		lines = append(lines, "The link is for you alone and works once. It leads to Microsoft's sign-in page; enter your password nowhere else.")
	case c.SignInURL == "":
		lines = append(lines, "Open the app as usual: sign out there, and in again.")
	default:
		lines = append(lines, "The link opens the app: sign out there, and in again.")
	}
	if p.State == Failed && p.Reason != "" {
		lines = append(lines, "The last try did not succeed: "+p.Reason+".")
	}
	return "Please sign in to " + c.RegistrationName + " again", strings.Join(lines, "\n")
}
