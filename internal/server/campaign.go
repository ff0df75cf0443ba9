package server

import (
	"context"
	"fmt"

	"gatehouse/internal/campaign"
	"gatehouse/internal/notify"
	"gatehouse/internal/sqldb"
)

// tellCampaign tells that a campaign is proposed, how far it is, and that it is done.
func (s *Server) tellCampaign(ctx context.Context, tx *sqldb.Tx, n campaign.News) error {
	c := n.Campaign
	e := notify.Event{Kind: notify.CampaignProgress, Key: c.ID + " " + n.What, Path: "/campaigns/" + c.ID, At: n.At, Data: map[string]any{
		"campaign": c.ID, "state": string(c.State), "reason": string(c.Reason), "registration": c.RegistrationID, "people": c.People, "done": c.Done, "failed": c.Failed, "percent": c.Percent(), "tenants": c.Tenants, "tenants_done": c.TenantsDone,
	}}
	switch n.What {
	case campaign.Proposed:
		e.Kind, e.Title = notify.CampaignProposed, "An app registration changed: does everybody have to sign in again?"
		e.Text = "A campaign waits as a draft. Nobody is asked for anything before you start it.\nWhat was granted before goes on working as long as the old app is there."
		e.Key += " " + c.New
	case campaign.Complete:
		e.Kind, e.Title = notify.CampaignDone, fmt.Sprintf("%s: everybody has signed in", c.Name)
		e.Text = fmt.Sprintf("All %d people of %d tenants have signed in.", c.People, c.Tenants)
		if c.OldGone() {
			e.Text += "\nNobody is left on the old app: it can be removed."
		}
	default:
		e.Title = fmt.Sprintf("%s: %d of %d people have signed in", c.Name, c.Done, c.People)
		e.Text = fmt.Sprintf("%d failed, %d tenants lack consent.", c.Failed, c.NoConsent)
	}
	return s.notices.Publish(ctx, tx, e)
}
