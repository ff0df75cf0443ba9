package sts

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Visitor is somebody who signs in without a browser, and what they do on the
// way.
type Visitor struct {
	UPN string
	// Factor gives the second factor where one is asked for, if the person has
	// registered a method that will do.
	Factor bool
	// Consent accepts what an app asks for; Organisation does so for everybody,
	// where the person may.
	Consent, Organisation bool
}

// Visit signs somebody in at an authorize or admin consent address, or with a
// device code (deviceauth, the user code as otc), as if every page had been filled in, and gives the address that the browser would be sent
// to, its answer in the query whatever the response mode. Passwords are neither
// asked for nor checked; every other gate stands. The error is a [Refused] where
// the pages would end with one.
func (s *Server) Visit(address string, v Visitor) (*url.URL, error) {
	r, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // is never sent
	if err != nil {
		return nil, fmt.Errorf("reading the address: %w", err)
	}
	r.RemoteAddr = "127.0.0.1:1"
	w := &caught{header: http.Header{}}
	f, refused := s.visitFlow(w, r)
	if refused != nil {
		return nil, refused.told()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if location := w.header.Get("Location"); location != "" {
		return url.Parse(location) // the request was wrong, and the app is told so
	}
	defer s.endFlow(f)
	if refused := s.setUser(r, f, v.UPN); refused != nil {
		return nil, refused.told()
	}
	f.proof, f.fresh, f.stayAnswered, f.skipped = firstFactor("pwd", s.cfg.Store.Now()), true, true, true
	for range 8 {
		switch at := s.advance(r, f); at {
		case atDone:
			if f.kind == deviceSignIn {
				return r.URL, s.visitDevice(w, r, f)
			}
			f.ask.mode = modeQuery
			s.complete(w, r, f)
		case atError:
			return nil, f.ended.told()
		case atMethods, atPush, atCode:
			s.withdraw(f)
			options := f.options()
			if !v.Factor || len(options) == 0 {
				return nil, fmt.Errorf("signing %s in: the second factor is asked for", v.UPN)
			}
			f.passMFA(options[0].Way, s.cfg.Store.Now())
		case atExternal:
			if !v.Factor {
				return nil, fmt.Errorf("signing %s in: a check outside the service is asked for", v.UPN)
			}
			s.takeExternal(w, r, f, true)
		case atTerms:
			s.takeTerms(w, r, f, true)
		case atConsent:
			if !v.Consent && !v.Organisation {
				return nil, fmt.Errorf("signing %s in: consent is asked for", v.UPN)
			}
			s.takeConsent(w, r, f, true, v.Organisation)
		case atApproval:
			return nil, f.plan.refused.told()
		default:
			return nil, fmt.Errorf("signing %s in: the page %q cannot be passed so", v.UPN, at)
		}
		if location := w.header.Get("Location"); location != "" {
			return url.Parse(location)
		}
	}
	return nil, errors.New("the pages lead in a circle")
}

// visitFlow begins the flow of an address. Where the app is told of a fault, w
// has the answer.
func (s *Server) visitFlow(w *caught, r *http.Request) (*flow, *refusal) {
	if refused := readForm(w, r); refused != nil {
		return nil, refused
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	ids, rest := idsOf(r), strings.ToLower(strings.Join(segments[1:], "/"))
	switch rest {
	case "v2.0/adminconsent":
		a, app, refused := s.readAdminAsk(r, segments[0], adminConsentV2)
		if refused != nil {
			return nil, refused
		}
		return s.newFlow(w, r, adminConsentV2, a, app, ids), nil
	case "adminconsent":
		a, app, refused := s.readAdminAsk(r, segments[0], adminConsentV1)
		if refused != nil {
			return nil, refused
		}
		return s.newFlow(w, r, adminConsentV1, a, app, ids), nil
	case "oauth2/deviceauth":
		d := s.openDevice(r.Form.Get("otc"))
		if d == nil {
			return nil, refuse("invalid_request", 70018, "This code is not known, has expired or was used. Look at the device again.")
		}
		f := s.newFlow(w, r, deviceSignIn, d.ask, d.app, ids)
		f.device, f.confirmed = d.code, true
		return f, nil
	case "oauth2/v2.0/authorize", "oauth2/authorize":
	default:
		return nil, refuse("invalid_request", 90014, "'%s' is no address to sign in at.", clip(r.URL.Path))
	}
	a, app, refused := s.readAsk(r, segments[0], rest == "oauth2/v2.0/authorize")
	if refused != nil {
		return nil, refused
	}
	f := s.newFlow(w, r, signIn, a, app, ids)
	if refused := s.readRest(r, a, &app); refused != nil {
		a.mode = modeQuery
		s.deliverRefusal(w, r, ids, a, refused)
	}
	return f, nil
}

// visitDevice ends the flow of a device code.
func (s *Server) visitDevice(w http.ResponseWriter, r *http.Request, f *flow) error {
	s.complete(w, r, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.devices.get(f.device, s.cfg.Store.Now()); !ok || d.earned == nil {
		return refuse("expired_token", 70019, "The code of the device has expired.").told()
	}
	return nil
}

// Refused is a sign-in that ended on a page.
type Refused struct {
	Code int // AADSTS number
	Text string
}

// Error has the number first, as the service's descriptions do.
func (r *Refused) Error() string { return fmt.Sprintf("AADSTS%d: %s", r.Code, r.Text) }

func (r *refusal) told() error { return &Refused{r.code, r.text} }

// caught keeps the headers of an answer.
type caught struct{ header http.Header }

func (c *caught) Header() http.Header         { return c.header }
func (c *caught) WriteHeader(int)             {}
func (c *caught) Write(p []byte) (int, error) { return len(p), nil }
