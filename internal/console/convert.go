package console

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/conversion"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// conversionView is what the pages of a conversion show.
type conversionView struct {
	Form       *form
	Old        connection.Connection
	App        connection.Connection // its zero value while there is none
	Conversion *conversion.Conversion
	Steps      []conversion.Step
	Needs      []validation.Need
	ConsentURL string
	Rules      bool // the tenant's reader can look into the log
}

var stepNames = map[string]string{
	conversion.StepRegistration: "App registration", conversion.StepCredential: "How the app proves itself", conversion.StepConsent: "Certificate uploaded and consented",
	conversion.StepValidation: "Validated beside the old profile", conversion.StepHandOver: "Handed over and seen in use", conversion.StepRetirement: "Old account out of use",
}

func stepState(s conversion.Step) state {
	switch s.State {
	case conversion.StepDone:
		return state{good, "check", "Done"}
	case conversion.StepNow:
		return state{warn, "half", "Now"}
	}
	return state{none, "ring", "Later"}
}

// managed is a connection that the person may manage.
func (c *console) managed(r *http.Request) (connection.Connection, error) {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return one, err
	}
	return one, c.Audit.Allow(r.Context(), one.TenantID, audit.ConnectionManage)
}

func (c *console) convertPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showConvert(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showConvert(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	one, err := c.managed(r)
	if err != nil {
		return err
	}
	v := conversionView{Form: typed, Old: one}
	if v.Conversion, err = c.Conversions.Of(r.Context(), one.ID); err != nil {
		return err
	}
	f.Title, f.Noun = "Convert "+one.Name, "connections"
	return show(w, r, status, convertPage(f, v))
}

func (c *console) toCommon(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	version, _ := strconv.ParseInt(typed.Get("version"), 10, 64) // 0 is nobody's, and so a conflict
	_, err = c.Connections.ToCommon(r.Context(), r.PathValue("id"), version, secrets.New(typed.Get("password")))
	if err = typed.conversionFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showConvert(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "converted")
}

// conversionFault takes in what is said to the person on the same page.
func (f *form) conversionFault(err error) error {
	for _, known := range []error{
		connection.ErrCommon, connection.ErrConverting, connection.ErrConflict, connection.ErrNoUndo, conversion.ErrEnded, conversion.ErrOrder, conversion.ErrHanded, conversion.ErrNothing, conversion.ErrNone,
		conversion.ErrNoAccount, tenant.ErrPaused,
	} {
		if errors.Is(err, known) {
			f.Problem = known.Error()
			return nil
		}
	}
	if parked, ok := errors.AsType[*connection.ParkedError](err); ok {
		f.Problem = parked.Error()
		return nil
	}
	return f.refused(err)
}

func (c *console) undoCommon(w http.ResponseWriter, r *http.Request, f *frame) error {
	_, err := c.Connections.UndoConversion(r.Context(), r.PathValue("id"))
	if errors.Is(err, connection.ErrNoUndo) {
		return c.showConnection(w, r, f, &form{Problem: err.Error()}, http.StatusConflict)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "conversion-undone")
}

func (c *console) startConversion(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed := &form{Values: url.Values{}}
	_, err := c.Conversions.Start(r.Context(), r.PathValue("id"))
	if err := typed.conversionFault(err); err != nil {
		return err
	}
	if typed.Problem != "" {
		return c.showConvert(w, r, f, typed, http.StatusConflict)
	}
	return to(w, r, "/connections/"+r.PathValue("id")+"/convert/app")
}

func (c *console) conversionPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showConversion(w, r, f, &form{Values: url.Values{"way": {conversion.MadeHere}}}, http.StatusOK)
}

func (c *console) conversionView(r *http.Request, typed *form) (v conversionView, err error) {
	ctx := r.Context()
	last, err := c.Conversions.Last(ctx, r.PathValue("id"), audit.ConnectionManage)
	if err != nil {
		if errors.Is(err, conversion.ErrNone) {
			err = errNoPage
		}
		return v, err
	}
	v.Form, v.Conversion = typed, &last
	if v.Old, err = c.Connections.Get(ctx, last.ConnectionID); err != nil {
		return v, err
	}
	if v.App, err = c.Conversions.App(ctx, last); err != nil {
		return v, err
	}
	v.Steps = last.Steps(v.App)
	if v.Needs, err = c.Conversions.Needs(ctx, last); err != nil {
		return v, err
	}
	if last.ClientID != "" {
		v.ConsentURL, err = c.Conversions.ConsentURL(ctx, last)
		if typed.Get("client_id") == "" {
			typed.Set("client_id", last.ClientID)
		}
	}
	return v, err
}

func (c *console) showConversion(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	v, err := c.conversionView(r, typed)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Convert "+v.Old.Name+" to an app", "connections"
	return show(w, r, status, conversionPage(f, v))
}

// conversionStep does what a step of the conversion asks for.
func (c *console) conversionStep(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	last, err := c.Conversions.Last(ctx, r.PathValue("id"), audit.ConnectionManage)
	if err == nil {
		switch r.PathValue("step") {
		case "registration":
			_, err = c.Conversions.SetRegistration(ctx, last.ID, typed.Get("client_id"))
		case "credential":
			err = c.appCredential(r, typed, last.ID)
		case "consented":
			_, err = c.Conversions.Consented(ctx, last.ID)
		case "validate":
			_, err = c.Conversions.Validate(ctx, last.ID)
		case "look":
			_, err = c.Conversions.LookForUse(ctx, last.ID)
		case "confirm":
			_, err = c.Conversions.Confirm(ctx, last.ID)
		case "retire":
			_, err = c.Conversions.Retire(ctx, last.ID)
		case "give-up":
			_, err = c.Conversions.GiveUp(ctx, last.ID)
		default:
			err = errNoPage
		}
	}
	if err := typed.conversionFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showConversion(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/connections/"+r.PathValue("id")+"/convert/app", "conversion-"+r.PathValue("step"))
}

func (c *console) appCredential(r *http.Request, typed *form, id string) error {
	in := conversion.CredentialRequest{Way: typed.Get("way"), Public: typed.Get("public"), Signing: typed.Get("signing"), Secret: secrets.New(typed.text("secret"))}
	if day := typed.text("secret_ends"); day != "" && in.Way == conversion.Secret {
		end, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return tenant.Fault("secret_ends", "is no day", "write it as 2027-01-31")
		}
		in.NotAfter = &end
	}
	_, err := c.Conversions.SetCredential(r.Context(), id, in)
	return err
}

// handedOver is the certificate with its key, shown once.
type handedOver struct{ Name, Data, Password string }

func (c *console) handOver(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed := &form{Values: url.Values{}}
	last, err := c.Conversions.Last(r.Context(), r.PathValue("id"), audit.ConnectionManage)
	var p conversion.Package
	if err == nil {
		p, err = c.Conversions.Package(r.Context(), last.ID)
	}
	if err := typed.conversionFault(err); err != nil {
		return err
	}
	if typed.Problem != "" {
		return c.showConversion(w, r, f, typed, http.StatusConflict)
	}
	v, err := c.conversionView(r, typed)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "The certificate of "+v.App.Name, "connections"
	return show(w, r, http.StatusOK, handOverPage(f, v, handedOver{p.Name, "data:application/x-pkcs12;base64," + base64.StdEncoding.EncodeToString(p.Data), p.Password.Reveal()}))
}

func (c *console) sheetPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	last, err := c.Conversions.Last(r.Context(), r.PathValue("id"), audit.ConnectionView)
	if err != nil {
		if errors.Is(err, conversion.ErrNone) {
			err = errNoPage
		}
		return err
	}
	s, err := c.Conversions.Sheet(r.Context(), last.ID)
	if errors.Is(err, conversion.ErrOrder) {
		return to(w, r, "/connections/"+last.ConnectionID+"/convert/app")
	}
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Hand-over sheet", "connections"
	return show(w, r, http.StatusOK, sheetPage(f, last, s))
}

// needWords are a permission with what stands beside it.
func needWords(n validation.Need) string {
	words := n.Least
	switch {
	case words == "":
		return "the least of Microsoft Graph that the software asks for"
	case len(n.Roles) > 0:
		words += ", with the directory role " + listWords(n.Roles, len(n.Roles)) + " on the app"
	case n.Beside != "":
		words += ", with " + n.Beside
	}
	return words
}

// retirement is the list to go through once the software uses the app.
var retirement = []string{
	"In the software, delete the old profile or its password.",
	"At Microsoft, block the account's sign-in and watch a week, a month's end and the yearly jobs for anything that stops.",
	"Take the account out of every exclusion that it had: policies, exclusion groups, per-user MFA.",
	"Delete its app passwords and revoke its sessions.",
	"Take away its directory roles and licences, then delete it. It can be restored for 30 days.",
	"Remove the old connection here.",
}
