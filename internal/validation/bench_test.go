package validation_test

import (
	"context"
	"testing"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"

	"os"
)

// BenchmarkCheck is one whole check of a blocked service account with a
// reader, sign-ins, posture and log included. Bar: 100 ms.
func BenchmarkCheck(b *testing.B) {
	l := lab.Start(b)
	at := l.Tenant("profilepark")
	u, reader := at.User("svc-avepoint"), at.App("Gatehouse reader")
	data, err := os.ReadFile(*reader.CertificateFile)
	if err != nil {
		b.Fatal(err)
	}
	certificate, err := login.ReadCertificate(data)
	if err != nil {
		b.Fatal(err)
	}
	request := validation.Request{
		Cloud:  microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()},
		Tenant: at.Domain, Username: u.UPN, ClientID: validation.GraphCommandLineTools, Credential: validation.Credential{Password: secrets.New(*u.Password)},
		Reader: &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Certificate: &certificate}},
	}
	for b.Loop() {
		if got := (validation.Service{}).Run(context.Background(), request); got.Verdict != validation.Blocked || got.Rule == nil {
			b.Fatalf("verdict %s, rule %v", got.Verdict, got.Rule)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/check")
}
