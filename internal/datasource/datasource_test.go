package datasource_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/datasource"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/tenant"
)

func coded(err error, code string) bool {
	var e *microsoft.Error
	return errors.As(err, &e) && e.Code == code
}

// A person who signed in chooses environment and company out of what Business
// Central shows, and sees a few records; nobody else's token is used, and who may
// not look is refused.
func TestChooseAndSample(t *testing.T) {
	each(t, func(h *house) {
		ctx := h.boss()
		c := h.delegated("Data source", "anna", connection.Profile{Services: []string{connection.BusinessCentral, connection.Graph, connection.SharePoint}})
		all, err := h.sources.Environments(ctx, c.ID)
		if err != nil || len(all.All) != 2 || all.All[0].Name != "Production" || all.All[1].Type != "Sandbox" || all.All[0].Status != "" || all.StatusUnread == "" {
			t.Fatalf("%+v %v", all, err)
		}
		companies, err := h.sources.Companies(ctx, c.ID, "")
		if err != nil || len(companies) != 2 || companies[1].Name != "Ledger Works Holding" {
			t.Fatalf("%+v %v", companies, err)
		}
		for _, wrong := range [][2]string{{"Training", "Ledger Works"}, {"Production", "Nobody's"}} {
			if _, err := h.sources.Choose(ctx, c.ID, wrong[0], wrong[1]); !coded(err, "environment_not_found") && !coded(err, "company_not_found") {
				t.Errorf("%v: %v", wrong, err)
			}
		}
		var faults tenant.Faults
		if _, err := h.sources.Choose(ctx, c.ID, "", ""); !errors.As(err, &faults) || len(faults) != 2 {
			t.Errorf("nothing chosen: %v", err)
		}
		chosen, err := h.sources.Choose(ctx, c.ID, "production", companies[1].ID)
		if err != nil || chosen.Environment != "Production" || chosen.Company != "Ledger Works Holding" || chosen.ObjectID == "" {
			t.Fatalf("%+v %v", chosen, err)
		}
		for service, want := range map[string]string{"": "Customers of Ledger Works Holding in Production", connection.Graph: "What Microsoft Graph shows", connection.SharePoint: "The SharePoint site"} {
			sample, err := h.sources.Sample(ctx, c.ID, datasource.SampleRequest{Service: service})
			if err != nil || sample.Of != want || len(sample.Rows) == 0 || len(sample.Rows) > 5 || len(sample.Rows[0]) != len(sample.Columns) {
				t.Errorf("%q: %+v %v", service, sample, err)
			}
		}
		if _, err := h.sources.Sample(ctx, c.ID, datasource.SampleRequest{Service: connection.Exchange}); !errors.Is(err, datasource.ErrService) {
			t.Errorf("a service that it is not for: %v", err)
		}

		// Who may only look at connections may not read with them, and another
		// tenant's engineer is told nothing.
		viewer, stranger := as(t.Context(), h.tenantID, audit.Viewer), as(t.Context(), "another", audit.Administrator)
		var no *audit.Refused
		if _, err := h.sources.Sample(viewer, c.ID, datasource.SampleRequest{}); !errors.As(err, &no) {
			t.Errorf("a viewer: %v", err)
		}
		if _, err := h.sources.Companies(stranger, c.ID, ""); !errors.As(err, &no) || !no.Hidden {
			t.Errorf("a stranger: %v", err)
		}
		if _, err := h.sources.Choose(as(t.Context(), h.tenantID, audit.Technician), c.ID, "Production", "Ledger Works"); !errors.As(err, &no) {
			t.Errorf("a technician: %v", err)
		}

		// Somebody else's refresh token under this connection is of no use.
		other := h.delegated("Of Ben", "ben", connection.Profile{})
		mine := h.refresh[c.ID]
		h.refresh[c.ID] = h.refresh[other.ID]
		if _, err := h.sources.Environments(ctx, c.ID); !coded(err, "token_of_other_person") {
			t.Errorf("another's token: %v", err)
		}
		h.refresh[c.ID] = mine

		nobody := h.delegated("Nobody", "", connection.Profile{Services: []string{connection.BusinessCentral}})
		if _, err := h.sources.Environments(ctx, nobody.ID); !errors.Is(err, datasource.ErrNobody) {
			t.Errorf("nobody signed in: %v", err)
		}
		h.control("/bc-users", `{"user":"anna@ledgerworks.onmicrosoft.com","licensed":false}`)
		if _, err := h.sources.Companies(ctx, c.ID, ""); !coded(err, "Authentication_InvalidCredentials") {
			t.Errorf("no licence: %v", err)
		}
		h.control("/environments", `{"environment":"Production","status":"Upgrading"}`)
		if _, err := h.sources.Companies(ctx, c.ID, ""); !coded(err, "Internal_TenantUnavailable") || !strings.Contains(err.Error(), "Upgrading") {
			t.Errorf("an upgrade: %v", err)
		}
	})
}

// The table of business-central §3, row by row: what is missing is the step that
// fails, with a remedy, and what could not be seen past it is unknown.
func TestSetUpSteps(t *testing.T) {
	each(t, func(h *house) {
		ledger := h.lab.Tenant("ledgerworks").App("Ledger")
		card := func(environment, app string, enabled bool, sets string) {
			h.control("/cards", `{"environment":"`+environment+`","client_id":"`+h.lab.Tenant("ledgerworks").App(app).ClientID+`","enabled":`+map[bool]string{true: "true", false: "false"}[enabled]+`,"permission_sets":[`+sets+`]}`)
		}
		type want struct{ name, environment, state string }
		look := func(label string, c connection.Connection, state string, wants ...want) {
			t.Helper()
			got, err := h.sources.SetUp(h.boss(), c.ID)
			if err != nil {
				t.Fatalf("%s: %v", label, err)
			}
			if got.State != state {
				t.Errorf("%s: %s, want %s: %+v", label, got.State, state, got.Steps)
			}
			for _, w := range wants {
				i := slices.IndexFunc(got.Steps, func(s datasource.Step) bool { return s.Name == w.name && s.Environment == w.environment })
				if i < 0 || got.Steps[i].State != w.state {
					t.Errorf("%s: %v is not among %+v", label, w, got.Steps)
					continue
				}
				if s := got.Steps[i]; s.State == datasource.Failed && (s.Diagnosis == nil || len(s.Diagnosis.Remedies) == 0 || s.Reason == "") {
					t.Errorf("%s: %s failed without remedy: %+v", label, s.Name, s)
				}
			}
			for _, s := range got.Steps {
				if s.State == datasource.Failed && s.Needed && !slices.ContainsFunc(wants, func(w want) bool {
					return w.state == datasource.Failed && w.name == s.Name && w.environment == s.Environment
				}) {
					t.Errorf("%s: %s %s failed too: %s", label, s.Name, s.Environment, s.Reason)
				}
			}
		}
		const p, f, u = datasource.Passed, datasource.Failed, datasource.Unknown
		good := h.byApp("good", "Ledger", "Production")
		look("all done", good, p, want{datasource.StepRegistration, "", p}, want{datasource.StepConsent, "", p}, want{datasource.StepSets, "Production", p}, want{datasource.StepCard, "Sandbox", f})

		look("an app that is not there", h.withSecret("ghost", "11111111-2222-4333-8444-555555555555", "a secret of some length", "Production"), f, want{datasource.StepRegistration, "", f}, want{datasource.StepCredential, "", u}, want{datasource.StepCard, "Production", u})
		look("a wrong secret", h.withSecret("wrong", ledger.ClientID, "not the secret at all", "Production"), f, want{datasource.StepRegistration, "", p}, want{datasource.StepCredential, "", f}, want{datasource.StepConsent, "", u})
		far := h.lab.Tenant("vendor").App("Far")
		look("never let into the tenant", h.withSecret("far", far.ClientID, *far.Secret, "Production"), f, want{datasource.StepRegistration, "", p}, want{datasource.StepConsent, "", f})
		asks, silent := h.byApp("asks", "Asks", "Production"), h.byApp("silent", "Silent", "Production")
		look("no consent, and no reader", asks, f, want{datasource.StepCredential, "", p}, want{datasource.StepPermission, "", u}, want{datasource.StepConsent, "", f})
		h.onboard()
		look("no consent", asks, f, want{datasource.StepPermission, "", p}, want{datasource.StepConsent, "", f}, want{datasource.StepCard, "Production", u})
		look("not asked for", silent, f, want{datasource.StepPermission, "", f}, want{datasource.StepConsent, "", u})

		card("Production", "Ledger", false, `"D365 BUS FULL ACCESS"`)
		look("a disabled card", good, f, want{datasource.StepEnvironment, "Production", p}, want{datasource.StepCard, "Production", f}, want{datasource.StepSets, "Production", u})
		card("Production", "Ledger", true, "")
		look("a card without permission sets", good, f, want{datasource.StepCard, "Production", p}, want{datasource.StepSets, "Production", f})
		card("Production", "Ledger", true, `"D365 AUTOMATION"`)
		look("sets that open no data", good, f, want{datasource.StepCard, "Production", p}, want{datasource.StepSets, "Production", f})
		card("Production", "Ledger", true, `"D365 BUS FULL ACCESS"`)

		// A second connection of the same app uses the sandbox: its card counts now,
		// whichever of the two is looked at.
		h.byApp("sandbox", "Ledger", "Sandbox")
		look("no card in the sandbox", good, f, want{datasource.StepSets, "Production", p}, want{datasource.StepCard, "Sandbox", f})
		card("Sandbox", "Ledger", true, `"D365 READ"`)
		look("both cards", good, p, want{datasource.StepSets, "Sandbox", p})
		training := h.byApp("training", "Ledger", "Training")
		look("an environment that is not there", good, f, want{datasource.StepEnvironment, "Training", f}, want{datasource.StepCard, "Training", u}, want{datasource.StepSets, "Production", p})
		if err := h.connections.Remove(h.boss(), training.ID); err != nil {
			t.Fatal(err)
		}

		h.control("/environments", `{"environment":"Production","status":"Upgrading"}`)
		look("an upgrade, by its answer", good, u, want{datasource.StepEnvironment, "Production", u}, want{datasource.StepCard, "Production", u})
		keeper := h.byApp("keeper", "Keeper", "Production")
		look("an upgrade, by the admin centre", keeper, u, want{datasource.StepEnvironment, "Production", u})
		all, err := h.sources.Environments(h.boss(), keeper.ID)
		if err != nil || all.StatusUnread != "" || all.All[0].Status != "Upgrading" || all.All[1].Status != "Active" {
			t.Errorf("%+v %v", all, err)
		}
		h.control("/environments", `{"environment":"Production","status":"SoftDeleted"}`)
		look("deleted", keeper, f, want{datasource.StepEnvironment, "Production", f})
		if _, err := h.sources.Companies(h.boss(), keeper.ID, ""); !coded(err, "environment_not_active") || !strings.Contains(err.Error(), "SoftDeleted") {
			t.Errorf("%v", err)
		}

		person := h.delegated("person", "anna", connection.Profile{Services: []string{connection.BusinessCentral}})
		if _, err := h.sources.SetUp(h.boss(), person.ID); !errors.Is(err, datasource.ErrApps) {
			t.Errorf("a person's: %v", err)
		}
	})
}
