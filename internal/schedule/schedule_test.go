package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/internal/schedule"
)

func parse(t testing.TB, text string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse("schedule", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "  ": "", "off": "off", "every 1h": "every 1h", " every  168h ": "every 168h", "daily 02:30": "daily 02:30 UTC", "daily 23:59 Europe/Berlin": "daily 23:59 Europe/Berlin",
	} {
		if s := parse(t, text); s.String() != want {
			t.Errorf("%q is %q, not %q", text, s, want)
		}
	}
	for _, text := range []string{"every 0h", "every 169h", "every -3h", "every 30m", "every 3", "daily", "daily 25:00", "daily 02:30 Nowhere/Land", "daily 02:30 Local", "daily 02:30 ../etc/passwd", "hourly", "off now"} {
		if s, err := schedule.Parse("schedule", text); err == nil {
			t.Errorf("%q is taken as %q", text, s)
		}
	}
}

// Over a period each thing is due once, and always at the same place of it.
func TestNext(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, text := range []string{"every 1h", "every 6h", "every 24h", "every 168h"} {
		s := parse(t, text)
		var period time.Duration
		if _, err := fmt.Sscanf(text, "every %d", (*int64)(&period)); err != nil {
			t.Fatal(err)
		}
		period *= time.Hour
		for i := range 50 {
			id := fmt.Sprint("c", i)
			first := s.Next(id, begin)
			if d := first.Sub(begin); d <= 0 || d > period {
				t.Errorf("%s of %s: first after %s", text, id, d)
			}
			if again := s.Next(id, first); again.Sub(first) != period {
				t.Errorf("%s of %s: then after %s", text, id, again.Sub(first))
			}
			if before := s.Next(id, first.Add(-time.Second)); !before.Equal(first) {
				t.Errorf("%s of %s: %s and %s", text, id, before, first)
			}
		}
	}
	if !parse(t, "off").Next("c", begin).IsZero() || !parse(t, "").Next("c", begin).IsZero() {
		t.Error("off is due some time")
	}
}

// A daily one keeps to the clock on the wall, also when that is changed: in
// Berlin in the night to the 25th of October 2026 and the 28th of March 2027.
func TestDaily(t *testing.T) {
	t.Parallel()
	s := parse(t, "daily 02:30 Europe/Berlin")
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, begin := range []time.Time{time.Date(2026, 10, 23, 0, 0, 0, 0, berlin), time.Date(2027, 3, 26, 0, 0, 0, 0, berlin)} {
		at := begin
		for day := range 5 {
			next := s.Next("some-connection", at)
			if d := next.Sub(at); d <= 0 || d > 27*time.Hour {
				t.Fatalf("%s after %s", d, at)
			}
			wall := next.In(berlin)
			if wall.Day() != begin.AddDate(0, 0, day).Day() || wall.Hour() < 2 || wall.Hour() > 4 {
				t.Errorf("on day %d at %s", day, wall)
			}
			at = next
		}
	}
}

// Connections spread evenly: no minute of an hour has more than three times its
// share.
func TestSpread(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	minutes := map[int]int{}
	const many = 6000
	for i := range many {
		next := parse(t, "every 1h").Next(fmt.Sprintf("0191b2c0-0000-7000-8000-%012d", i), begin)
		minutes[next.Minute()]++
	}
	for minute := range 60 {
		if n := minutes[minute]; n < many/60/3 || n > many/60*3 {
			t.Errorf("%d of %d in minute %d", n, many, minute)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("every 6h")
	f.Add("daily 02:30 Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse("schedule", text)
		if err != nil {
			return
		}
		again, err := schedule.Parse("schedule", s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%q becomes %q, and that %q %v", text, s, again, err)
		}
		now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
		if next := s.Next("id", now); !next.IsZero() && !next.After(now) {
			t.Errorf("%q is due at %s", text, next)
		}
	})
}
