package posture

import (
	"context"
	"errors"
	"strings"

	"gatehouse/internal/microsoft/graph"
)

// Report is the registration report of a tenant, as far as it was read. Graph
// answers five calls for reports in ten seconds and app ("Microsoft Graph
// service-specific throttling limits"), so that many accounts are looked up in one
// list rather than one by one.
type Report struct {
	capable map[string]bool
	// Without says why accounts are missing.
	Without string
}

// reportPages leave one of the five calls for others.
const reportPages = 4

// errReport ends the reading after some pages; it is no failure.
var errReport = errors.New("enough")

// LoadReport reads the first pages of the registration report. What cannot be
// read is said in the report.
func LoadReport(ctx context.Context, client *graph.Client) *Report {
	r := &Report{capable: map[string]bool{}, Without: "the registration report does not list the account"}
	pages := 0
	err := graph.Pages(ctx, client, "/v1.0/reports/authenticationMethods/userRegistrationDetails?$top=999", func(page []graph.RegistrationDetails) error {
		for _, d := range page {
			r.capable[strings.ToLower(d.ID)] = d.IsMFACapable
		}
		if pages++; pages == reportPages {
			return errReport
		}
		return nil
	})
	switch {
	case errors.Is(err, errReport):
		r.Without = "the registration report is longer than is read for many connections at once: validate this one alone"
	case err != nil:
		r.Without = err.Error()
	}
	return r
}

func (r *Report) of(id string) *bool {
	if capable, ok := r.capable[strings.ToLower(id)]; ok {
		return &capable
	}
	return nil
}
