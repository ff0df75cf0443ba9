package config

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
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			fault("trusted_proxies", p.String()+" is everybody, who could then claim any address: name the proxies")
		}
	}
}
