package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/client"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/sqldb"
)

// States of findings.
const (
	passed  = "passed"
	warning = "warning"
	failed  = "failed"
	unknown = "unknown"
)

// Bounds of what is fine.
const (
	leastDisk   = 1 << 30 // bytes
	mostSkew    = 30 * time.Second
	examination = 10 * time.Second
)

// Examine looks after what the server needs of its machine: clock, disk,
// database, key, mail server, egress, DNS.
func (s *Server) Examine(ctx context.Context) []client.Finding {
	return append([]client.Finding{s.examineDatabase(ctx), s.examineKey(ctx), s.examineMail(ctx)}, ExamineMachine(ctx, s.c.DataDir, s.c.Cloud)...)
}

// ExamineMachine looks after what needs no running server.
func ExamineMachine(ctx context.Context, dataDir string, cloud microsoft.Cloud) []client.Finding {
	ctx, cancel := context.WithTimeout(ctx, examination)
	defer cancel()
	findings := make([]client.Finding, 4)
	var wg sync.WaitGroup
	wg.Go(func() { findings[0] = examineDisk(dataDir) })
	wg.Go(func() { findings[1] = examineDNS(ctx, cloud) })
	wg.Go(func() { findings[2], findings[3] = examineEgress(ctx, cloud) })
	wg.Wait()
	return findings
}

func (s *Server) examineDatabase(ctx context.Context) client.Finding {
	f := client.Finding{Name: "database", State: passed}
	began := time.Now()
	err := s.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE instance SET value = value WHERE name = ?", "")
		return err
	})
	took := time.Since(began)
	f.Detail = fmt.Sprintf("%s answered a change in %s", s.db.Name(), took.Round(100*time.Microsecond))
	switch {
	case err != nil:
		f.State, f.Detail, f.Way = failed, "changing something: "+err.Error(), "look after the database server, or the disk of the file"
	case took > time.Second:
		f.State, f.Way = warning, "a change should take milliseconds: is the disk slow, or the database far away or busy?"
	}
	return f
}

func (s *Server) examineKey(ctx context.Context) client.Finding {
	f := client.Finding{Name: "key", State: passed, Detail: "the master key opens the keys in the database"}
	if err := s.keys.Reload(ctx); err != nil {
		f.State, f.Detail, f.Way = failed, err.Error(), "bring the key file back (key_file)"
		return f
	}
	if _, err := s.keys.SigningKey(audit.AsSystem(ctx, "doctor"), api.CheckpointKey); err != nil {
		f.State, f.Detail, f.Way = failed, err.Error(), "bring the key file back (key_file)"
	}
	return f
}

func examineDisk(dir string) client.Finding {
	f := client.Finding{Name: "disk", State: passed}
	free, err := freeSpace(dir)
	if err != nil {
		f.State, f.Detail, f.Way = unknown, "asking for free space: "+err.Error(), "make the folder, or name another (data_dir)"
		return f
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	f.Detail = fmt.Sprintf("%.1f GB free for %s", float64(free)/1e9, dir)
	if free < leastDisk {
		f.State, f.Way = warning, "make room: below 1 GB the database may soon be unable to grow"
	}
	return f
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func examineDNS(ctx context.Context, cloud microsoft.Cloud) client.Finding {
	f := client.Finding{Name: "dns", State: passed, Detail: "the names of the Microsoft cloud are found"}
	for _, name := range []string{host(cloud.Login), host(cloud.Graph)} {
		if _, err := net.DefaultResolver.LookupHost(ctx, name); err != nil {
			f.State, f.Detail, f.Way = failed, "looking up "+name+": "+err.Error(), "look after the machine's resolver, or use its proxy (HTTPS_PROXY)"
			return f
		}
	}
	return f
}

// examineEgress reaches the sign-in service, whose answer also tells its time.
func examineEgress(ctx context.Context, cloud microsoft.Cloud) (egress, clock client.Finding) {
	egress = client.Finding{Name: "egress", State: passed, Detail: cloud.Login + " answers"}
	clock = client.Finding{Name: "clock", State: unknown, Detail: "there was no answer to compare with", Way: "see egress"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, cloud.Login+"/common/v2.0/.well-known/openid-configuration", nil)
	if err != nil {
		egress.State, egress.Detail = failed, err.Error()
		return egress, clock
	}
	transport := cloud.Transport()
	transport.TLSClientConfig.MinVersion = tls.VersionTLS12
	defer transport.CloseIdleConnections()
	began := time.Now()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		egress.State, egress.Detail, egress.Way = failed, "reaching "+cloud.Login+": "+err.Error(), "let this machine reach it over TCP 443, directly or through a proxy (HTTPS_PROXY)"
		return egress, clock
	}
	defer response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		clock.Detail = "the answer of " + cloud.Login + " names no time"
		return egress, clock
	}
	skew := time.Since(theirs)
	clock.State, clock.Way = passed, ""
	clock.Detail = fmt.Sprintf("within %s of Microsoft's", max(skew.Abs(), time.Second).Round(time.Second))
	if skew.Abs() > mostSkew+time.Since(began) {
		clock.State, clock.Way = failed, "set the machine's clock (NTP): codes and certificates are refused otherwise"
		clock.Detail = fmt.Sprintf("%s off Microsoft's", skew.Abs().Round(time.Second))
	}
	return egress, clock
}
