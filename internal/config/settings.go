package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gatehouse/internal/secrets"
)

// setting is one line of the configuration. As text, a list has commas.
type setting struct {
	name   string // in the file: "tls.mode"
	normal string // default
	list   bool
	secret bool // can also be given as the name of a file: see [setting.file]
	set    func(c *Config, value string) error
	get    func(c *Config) string
}

// variable is the setting's name in the environment.
func (s setting) variable() string {
	return "GATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(s.name, ".", "_"))
}

// file is the twin of a secret setting that names a file with the value.
func (s setting) file() setting { return setting{name: s.name + "_file"} }

// settings are all there is, in the order of [Config.Print].
var settings = []setting{
	text("listen", "127.0.0.1:8443", func(c *Config) *string { return &c.Listen }, listenAddress),
	text("public_url", "", func(c *Config) *string { return &c.PublicURL }, publicURL),
	text("organisation", "", func(c *Config) *string { return &c.Organisation }, organisation),
	text("data_dir", "gatehouse-data", func(c *Config) *string { return &c.DataDir }, nil),
	{
		name: "database", secret: true,
		set: func(c *Config, v string) error { c.Database = secrets.New(v); return database(v) },
		get: func(c *Config) string { return masked(c.Database) },
	},
	text("key_file", "", func(c *Config) *string { return &c.KeyFile }, nil),
	text("cloud", "public", func(c *Config) *string { return &c.Cloud }, nil),
	text("tls.mode", string(TLSSelf), func(c *Config) *string { return (*string)(&c.TLS.Mode) }, one("self", "files", "proxy")),
	text("tls.certificate", "", func(c *Config) *string { return &c.TLS.Certificate }, nil),
	text("tls.key", "", func(c *Config) *string { return &c.TLS.Key }, nil),
	prefixes("trusted_proxies", func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }),
	prefixes("egress_allow", func(c *Config) *[]netip.Prefix { return &c.EgressAllow }),
	text("metrics.listen", "", func(c *Config) *string { return &c.Metrics.Listen }, listenAddress),
	text("mail.server", "", func(c *Config) *string { return &c.Mail.Server }, mailServer),
	text("mail.from", "", func(c *Config) *string { return &c.Mail.From }, mailFrom),
	text("mail.username", "", func(c *Config) *string { return &c.Mail.Username }, nil),
	{
		name: "mail.password", secret: true,
		set: func(c *Config, v string) error { c.Mail.Password = secrets.New(v); return nil },
		get: func(c *Config) string {
			if c.Mail.Password.Empty() {
				return ""
			}
			return dots
		},
	},
	text("mail.tls", string(MailStartTLS), func(c *Config) *string { return (*string)(&c.Mail.TLS) }, one("starttls", "tls", "none")),
	text("oidc.issuer", "", func(c *Config) *string { return &c.OIDC.Issuer }, issuer),
	text("oidc.client_id", "", func(c *Config) *string { return &c.OIDC.ClientID }, nil),
	{
		name: "oidc.client_secret", secret: true,
		set: func(c *Config, v string) error { c.OIDC.ClientSecret = secrets.New(v); return nil },
		get: func(c *Config) string {
			if c.OIDC.ClientSecret.Empty() {
				return ""
			}
			return dots
		},
	},
	text("oidc.name", "single sign-on", func(c *Config) *string { return &c.OIDC.Name }, nil),
	{
		name: "oidc.tenants", list: true,
		set: func(c *Config, v string) error {
			c.OIDC.Tenants = nil
			for item := range strings.SplitSeq(v, ",") {
				if item = strings.TrimSpace(item); item != "" {
					c.OIDC.Tenants = append(c.OIDC.Tenants, item)
				}
			}
			return nil
		},
		get: func(c *Config) string { return strings.Join(c.OIDC.Tenants, ",") },
	},
	text("oidc.ca_file", "", func(c *Config) *string { return &c.OIDC.CAFile }, nil),
	text("log.level", "info", func(c *Config) *string { return &c.Log.Level }, one("debug", "info", "warn", "error")),
	text("log.format", "text", func(c *Config) *string { return &c.Log.Format }, one("text", "json")),
	days("retention.audit_uses", 90, func(c *Config) *int { return &c.Retention.AuditUses }),
	days("retention.incidents", 365, func(c *Config) *int { return &c.Retention.Incidents }),
	days("retention.jobs", 14, func(c *Config) *int { return &c.Retention.Jobs }),
	days("retention.sign_ins", 365, func(c *Config) *int { return &c.Retention.SignIns }),
	days("retention.validations", 365, func(c *Config) *int { return &c.Retention.Validations }),
	days("retention.notices", 90, func(c *Config) *int { return &c.Retention.Notices }),
	{
		name: "broker.keep_alive_days", normal: "30",
		set: func(c *Config, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > maxKeepAlive {
				return fmt.Errorf("%q is no number of days up to %d: a sign-in that is not used for 90 ends; write 0 for never", v, maxKeepAlive)
			}
			c.Broker.KeepAliveDays = n
			return nil
		},
		get: func(c *Config) string { return strconv.Itoa(c.Broker.KeepAliveDays) },
	},
}

// organisation demands a name that fits into a sentence.
func organisation(v string) error {
	if len(v) > 100 || v != strings.TrimSpace(v) || strings.ContainsFunc(v, unicode.IsControl) {
		return fmt.Errorf("%.120q is no name of an organisation: write up to 100 characters in one line", v)
	}
	return nil
}

// maxKeepAlive leaves ten days to try again in.
const maxKeepAlive = 80

func text(name, normal string, at func(*Config) *string, check func(string) error) setting {
	return setting{
		name: name, normal: normal,
		set: func(c *Config, v string) error {
			*at(c) = v
			if check == nil || v == "" && normal == "" {
				return nil
			}
			return check(v)
		},
		get: func(c *Config) string { return *at(c) },
	}
}

func prefixes(name string, at func(*Config) *[]netip.Prefix) setting {
	return setting{
		name: name, list: true,
		set: func(c *Config, v string) (err error) {
			*at(c), err = readPrefixes(v)
			return err
		},
		get: func(c *Config) string {
			var out []string
			for _, p := range *at(c) {
				out = append(out, p.String())
			}
			return strings.Join(out, ",")
		},
	}
}

func days(name string, normal int, at func(*Config) *int) setting {
	return setting{
		name: name, normal: strconv.Itoa(normal),
		set: func(c *Config, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > 36500 {
				return fmt.Errorf("%q is no number of days: write a whole number, 0 for ever", v)
			}
			*at(c) = n
			return nil
		},
		get: func(c *Config) string { return strconv.Itoa(*at(c)) },
	}
}

func one(of ...string) func(string) error {
	return func(v string) error {
		if slices.Contains(of, v) {
			return nil
		}
		return fmt.Errorf("%q is none of %s", v, strings.Join(of, ", "))
	}
}

func cutPort(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	n, numErr := strconv.Atoi(port)
	return host, port, err == nil && numErr == nil && n >= 0 && n <= 65535
}

func listenAddress(v string) error {
	if host, _, ok := cutPort(v); !ok || strings.ContainsAny(host, "/ ") {
		return fmt.Errorf("%q is no address to listen on: write host:port, such as 127.0.0.1:8443, or :8443 for all interfaces", v)
	}
	return nil
}

func mailServer(v string) error {
	if host, port, ok := cutPort(v); !ok || host == "" || port == "0" || strings.ContainsAny(host, "/ @") {
		return fmt.Errorf("%q is no mail server: write host:port, such as smtp.example.com:587", v)
	}
	return nil
}

func mailFrom(v string) error {
	if _, err := mail.ParseAddress(v); err != nil {
		return fmt.Errorf("%q is no e-mail address: write gatehouse@example.com, or Gatehouse <gatehouse@example.com>", v)
	}
	return nil
}

func publicURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no address of a server: write https://host or https://host:port, without a path", v)
	}
	return nil
}

func issuer(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no issuer: write its address as it stands in its metadata, such as https://login.microsoftonline.com/<tenant id>/v2.0", v)
	}
	return nil
}

// database never shows the value, which may hold a password.
func database(v string) error {
	scheme, _, ok := strings.Cut(v, "://")
	if !ok {
		return nil // a file
	}
	if scheme != "postgres" && scheme != "postgresql" {
		return fmt.Errorf("the address begins with %q: write postgres://user@host/name, or the path of a SQLite file", scheme+"://")
	}
	if u, err := url.Parse(v); err != nil || u.Host == "" && u.Query().Get("host") == "" {
		return fmt.Errorf("the address cannot be read: write postgres://user:password@host:port/name, with special characters in the password encoded (%%40 for @)")
	}
	return nil
}

func readPrefixes(v string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, item := range strings.Split(v, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		if a, err := netip.ParseAddr(item); err == nil && a.Zone() == "" {
			a = a.Unmap()
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(item)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is no address or network: write 10.1.2.3 or 10.1.0.0/16, more than one with commas", item)
		case p != p.Masked():
			return nil, fmt.Errorf("%q names a host within the network: write %s or %s", item, p.Masked(), p.Addr())
		}
		out = append(out, p)
	}
	return out, nil
}
