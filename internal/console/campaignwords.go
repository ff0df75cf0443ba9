package console

import (
	"fmt"

	"gatehouse/internal/campaign"
)

func campaignState(c campaign.Campaign) state {
	switch c.State {
	case campaign.Draft:
		return state{none, "ring", "Draft"}
	case campaign.Running:
		return state{none, "half", "Running"}
	case campaign.Paused:
		return state{warn, "pause", "Paused"}
	case campaign.Done:
		return state{good, "check", "Done"}
	default:
		return state{none, "stop", "Ended early"}
	}
}

func personState(p campaign.Person) state {
	switch p.State {
	case campaign.SignedIn:
		return state{good, "check", "Done"}
	case campaign.Failed:
		return state{bad, "cross", "Failed"}
	case campaign.Reminded:
		return state{none, "half", "Asked"}
	default:
		return state{none, "ring", "Pending"}
	}
}

func campaignConsent(t campaign.Tenant) state {
	switch t.Consent {
	case campaign.ConsentGranted:
		return state{good, "check", "Granted"}
	case campaign.ConsentNotRead:
		return state{warn, "question", "Approved, not read back"}
	case campaign.ConsentAsked:
		return state{warn, "half", "Asked for"}
	case campaign.ConsentMissing:
		return state{bad, "stop", "Missing"}
	case campaign.ConsentNotNeeded:
		return state{none, "ring", "Not needed"}
	default:
		return state{none, "question", "Unknown"}
	}
}

var consentOptions = []option{
	{"", "All"}, {string(campaign.ConsentLacking), "Missing or asked for"}, {string(campaign.ConsentMissing), "Missing"}, {string(campaign.ConsentAsked), "Asked for"}, {string(campaign.ConsentUnknown), "Unknown"}, {string(campaign.ConsentNotRead), "Approved, not read back"}, {string(campaign.ConsentGranted), "Granted"},
}

// unknownWords say why a tenant's consent is not known.
func unknownWords(t campaign.Tenant) string {
	if t.ConsentReason == "" {
		return "It was not looked at yet."
	}
	return sentence(t.ConsentReason)
}

var reasonOptions = []option{
	{string(campaign.NewClientID), "The app has a new client id"}, {string(campaign.NewManifest), "It needs other permissions"}, {string(campaign.NewCredential), "Its credential was replaced"},
	{string(campaign.Revocation), "Sign-ins or consent were revoked"}, {string(campaign.ByHand), "Another reason"},
}

func reasonWords(r campaign.Reason) string {
	for _, o := range reasonOptions {
		if o.Value == string(r) {
			return o.Words
		}
	}
	return string(r)
}

var personStateOptions = []option{{"", "All"}, {string(campaign.Failed), "Failed"}, {string(campaign.Pending), "Pending"}, {string(campaign.Reminded), "Asked"}, {string(campaign.SignedIn), "Done"}}

// verdictOf is a campaign in one sentence.
func verdictOf(c campaign.Campaign) (state, string) {
	left := c.People - c.Done
	switch {
	case c.State == campaign.Done:
		return state{good, "check", "Done"}, fmt.Sprintf("All %s have signed in.", peopleWords(c.People))
	case c.State == campaign.Ended:
		return state{none, "stop", "Ended early"}, fmt.Sprintf("It was ended with %d of %s signed in.", c.Done, peopleWords(c.People))
	case c.State == campaign.Draft && c.People == 0:
		return state{none, "ring", "Draft"}, "It reaches nobody yet: add people."
	case c.State == campaign.Draft:
		return state{none, "ring", "Draft"}, fmt.Sprintf("Nobody is asked yet. It reaches %s of %s.", peopleWords(c.People), count(c.Tenants, "tenant"))
	case c.NoConsent > 0:
		return state{bad, "stop", "Waiting"}, fmt.Sprintf("%s still to sign in; in %s the administrator has to consent first.", peopleWords(left), count(c.NoConsent, "tenant"))
	case c.Failed > 0:
		return state{bad, "cross", "Failures"}, fmt.Sprintf("%s still to sign in; %d tried in vain.", peopleWords(left), c.Failed)
	default:
		return state{none, "half", "Running"}, fmt.Sprintf("%s still to sign in.", peopleWords(left))
	}
}

func share(p campaign.Progress) string { return fmt.Sprintf("%d of %d", p.Done, p.People) }

// called is what a person is called in a list.
func called(p campaign.Person) string {
	switch {
	case p.Username != "":
		return p.Username
	case p.Name != "":
		return p.Name
	case p.ObjectID != "":
		return p.ObjectID
	}
	return "Erased"
}

// oldWords say how far people have left the old app.
func oldWords(c campaign.Campaign) string {
	switch {
	case c.OldGone() && c.State == campaign.Done:
		return "Everybody was seen on the new app. Nobody here needs the old one any more: it can be removed."
	case c.OldGone():
		return "Everybody whom you may see is on the new app. Remove the old one once the campaign is done."
	case c.OnOld > 0:
		return fmt.Sprintf("%s still on the old app, as last seen; of %d it is not known. Leave the old app in place: it can be removed once all are done.", peopleWords(c.OnOld), c.People-c.Done-c.OnOld)
	default:
		return fmt.Sprintf("Of %s it is not known which app they use. Leave the old app in place: it can be removed once all are done.", peopleWords(c.People-c.Done))
	}
}

// peopleWords is a number of people.
func peopleWords(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}
