package server_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/lab"
)

// The server is ready within 300 ms of being started as a process, and then
// takes no more than 60 MB. Both are told; only gross misses fail, as machines
// are shared.
func TestStartAndIdle(t *testing.T) {
	k := newKilled(t, dbtest.SQLite(t), lab.Start(t))
	k.start()
	k.kill()
	began := time.Now()
	k.start()
	took := time.Since(began)
	data, err := os.ReadFile("/proc/" + strconv.Itoa(k.process.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	k.kill()
	t.Logf("ready after %s, %d MB", took.Round(time.Millisecond), kb>>10)
	if took > 3*time.Second || kb > 200<<10 {
		t.Errorf("ready after %s with %d MB: the bars are 300 ms and 60 MB", took, kb>>10)
	}
}
