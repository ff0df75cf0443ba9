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
	kb := resident(t, k.process.Process.Pid)
	k.kill()
	t.Logf("ready after %s, %d MB", took.Round(time.Millisecond), kb>>10)
	if took > 3*time.Second || kb > 200<<10 {
		t.Errorf("ready after %s with %d MB: the bars are 300 ms and 60 MB", took, kb>>10)
	}
}

// resident is the memory that a process takes, in KiB.
func resident(t testing.TB, pid int) int {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

// BenchmarkProcess is what a server process takes that nobody uses, and how long it
// took to be ready; see [TestStartAndIdle] for the bars.
func BenchmarkProcess(b *testing.B) {
	k := newKilled(b, dbtest.SQLite(b), lab.Start(b))
	k.start()
	k.kill()
	var memory int
	var ready time.Duration
	for b.Loop() {
		began := time.Now()
		k.start()
		ready += time.Since(began)
		b.StopTimer()
		memory += resident(b, k.process.Process.Pid)
		k.kill()
		b.StartTimer()
	}
	b.ReportMetric(float64(ready.Milliseconds())/float64(b.N), "ms/ready")
	b.ReportMetric(float64(memory)/float64(b.N)/1024, "MB/idle")
}
