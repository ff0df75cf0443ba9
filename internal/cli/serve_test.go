package cli_test

import (
	"strings"
	"testing"
)

// All settings are shown, secrets as dots; faults are told all at once.
func TestPrintConfig(t *testing.T) {
	t.Setenv("GATEHOUSE_DATABASE", "postgres://gate:planted@db.example/gate")
	x := &terminal{t, nil}
	code, out, talk := x.run("serve", "--print-config")
	if code != 0 || !strings.Contains(out, "••") || strings.Contains(out+talk, "planted") || !strings.Contains(out, "trusted_proxies") {
		t.Errorf("exit %d: %s %s", code, out, talk)
	}
	t.Setenv("GATEHOUSE_LISTEN", "nowhere")
	t.Setenv("GATEHOUSE_LOG_FORMAT", "xml")
	if code, _, talk := x.run("serve"); code != 2 || !strings.Contains(talk, "GATEHOUSE_LISTEN") || !strings.Contains(talk, "GATEHOUSE_LOG_FORMAT") {
		t.Errorf("exit %d: %s", code, talk)
	}
}
