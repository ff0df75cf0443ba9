package server

import (
	"context"
	"time"

	"gatehouse/client"
	"gatehouse/internal/jobs"
	"gatehouse/internal/notify"
)

// newNotices makes what tells people and programs of what happens.
func (s *Server) newNotices() *notify.Service {
	return notify.New(notify.Config{
		DB: s.db, Audit: s.audit, Keys: s.keys, Jobs: s.queue, Live: s.hub, Operators: s.operator, PublicURL: s.c.PublicURL,
		Mail:    notify.Mail{Server: s.c.Mail.Server, From: s.c.Mail.From, Username: s.c.Mail.Username, Password: s.c.Mail.Password, TLS: string(s.c.Mail.TLS), Roots: s.c.OutsideRoots},
		Outside: notify.Outside{Allow: s.c.EgressAllow, Roots: s.c.OutsideRoots},
	})
}

// Notices is what tells of what happens, for tests.
func (s *Server) Notices() *notify.Service { return s.notices }

// registerNotices makes the chores of notices.
func (s *Server) registerNotices() {
	jobs.Every(s.queue, time.Hour, jobs.Kind[jobs.Tick]{Name: "notice_sweep", Work: func(ctx context.Context, _ jobs.Tick) error { return s.notices.Sweep(ctx) }})
	s.retain("notice", s.c.Retention.Notices, func(ctx context.Context, before time.Time) error {
		_, err := s.notices.Forget(ctx, before)
		return err
	})
}

// examineMail looks after the mail server. Having none is a choice.
func (s *Server) examineMail(ctx context.Context) client.Finding {
	f := client.Finding{Name: "mail", State: passed, Detail: "no mail server is configured: notices go out by webhook only, and links of invitations are passed on by hand"}
	if s.c.Mail.Server == "" {
		return f
	}
	f.Detail = s.c.Mail.Server + " takes mail from " + s.c.Mail.From
	ctx, cancel := context.WithTimeout(ctx, examination)
	defer cancel()
	if err := s.notices.Mail.Check(ctx); err != nil {
		f.State, f.Detail, f.Way = failed, err.Error(), "look after the mail server and the settings mail.server, mail.tls, mail.username and mail.password"
	}
	return f
}
