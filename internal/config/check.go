package config

import "net/netip"

// check looks at settings that depend on each other.
func (c *Config) check(l *loader) {
	fault := func(name, problem string) {
		for _, f := range l.faults {
			if f.Name == name { // it could not be read in the first place
				return
			}
		}
		l.fault(name, c.sources[name], problem)
	}
	files := map[string]string{"tls.certificate": c.TLS.Certificate, "tls.key": c.TLS.Key}
	for _, name := range []string{"tls.certificate", "tls.key"} {
		switch {
		case c.TLS.Mode == TLSFiles && files[name] == "":
			fault(name, "is missing: with tls.mode files it names a PEM file")
		case c.TLS.Mode != TLSFiles && files[name] != "":
			fault(name, "has no effect with tls.mode "+string(c.TLS.Mode)+": set tls.mode to files, or leave it out")
		}
	}
	if c.TLS.Mode == TLSProxy && len(c.TrustedProxies) == 0 {
		fault("trusted_proxies", "is missing: with tls.mode proxy only the proxies named here may connect, such as 127.0.0.1")
	}
	switch {
	case c.OIDC.Issuer != "" && c.OIDC.ClientID == "":
		fault("oidc.client_id", "is missing: it is the client id that the issuer knows Gatehouse by")
	case c.OIDC.Issuer == "" && c.OIDC.ClientID != "":
		fault("oidc.issuer", "is missing: single sign-on needs both oidc.issuer and oidc.client_id")
	}
	if c.Retention.Jobs == 1 {
		fault("retention.jobs", "is shorter than the pause of some work, which would then be done twice: write 2 or more, or 0 for ever")
	}
	c.checkMail(fault)
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			fault("trusted_proxies", p.String()+" is everybody, who could then claim any address: name the proxies")
		}
	}
}

// checkMail looks at the settings of the mail server, which belong together.
func (c *Config) checkMail(fault func(name, problem string)) {
	m := c.Mail
	if m.Server == "" {
		for name, value := range map[string]string{"mail.from": m.From, "mail.username": m.Username} {
			if value != "" {
				fault(name, "has no effect without mail.server: set that, or leave it out")
			}
		}
		if !m.Password.Empty() {
			fault("mail.password", "has no effect without mail.server: set that, or leave it out")
		}
		return
	}
	if m.From == "" {
		fault("mail.from", "is missing: name the address that notices come from, such as gatehouse@example.com")
	}
	if m.Username == "" && !m.Password.Empty() {
		fault("mail.username", "is missing: mail.password is given without it")
	}
	if m.Username != "" && m.Password.Empty() {
		fault("mail.password", "is missing: mail.username is given without it")
	}
	if host, _, _ := cutPort(m.Server); m.TLS == MailPlain && !thisMachine(host) {
		fault("mail.tls", "is none, with which anybody on the way could read along: only for a mail server on this machine, such as 127.0.0.1:25")
	}
}

// thisMachine reports whether a host can be no other.
func thisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
