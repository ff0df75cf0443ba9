package operator_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/operator"
)

// However an address spreads its tries, it gets no more than the burst and what
// the time that passed allows, and never waits longer than it is told.
func TestLimiter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every, burst := time.Duration(rapid.IntRange(1, 100).Draw(t, "every"))*time.Millisecond, rapid.IntRange(1, 10).Draw(t, "burst")
		now := time.Unix(1e9, 0)
		begun, taken := now, 0
		l := operator.NewLimiter(operator.LimiterConfig{Every: every, Burst: burst, Now: func() time.Time { return now }})
		for range rapid.IntRange(1, 60).Draw(t, "tries") {
			err := l.Take("192.0.2.1")
			if err == nil {
				taken++
			}
			// A microsecond for rounding.
			if most := burst + int((now.Sub(begun)+time.Microsecond)/every); taken > most {
				t.Fatalf("%d tries in %s, at most %d are allowed", taken, now.Sub(begun), most)
			}
			var limited *operator.Limited
			if errors.As(err, &limited) {
				if limited.RetryAfter <= 0 || limited.RetryAfter > every+time.Millisecond {
					t.Fatalf("told to wait %s", limited.RetryAfter)
				}
				if rapid.Bool().Draw(t, "wait") {
					now = now.Add(limited.RetryAfter)
					if err := l.Take("192.0.2.1"); err != nil {
						t.Fatalf("waited as told, and: %v", err)
					}
					taken++
				}
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "pause")) * time.Millisecond)
		}
	})
}

// Addresses that belong to one subscriber count as one, others do not.
func TestLimiterAddresses(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.1:443", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "[2001:db8::2]:443", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"", "nonsense", true},
		{"", "0.0.0.0", false},
	} {
		l := operator.NewLimiter(operator.LimiterConfig{Every: time.Hour, Burst: 1, Now: func() time.Time { return now }})
		if err := l.Take(test.a); err != nil {
			t.Fatal(err)
		}
		if err := l.Take(test.b); (err != nil) != test.same {
			t.Errorf("%q then %q: %v", test.a, test.b, err)
		}
	}
}

// A flood of addresses does not push out one that is in use, nor fill the memory.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := operator.NewLimiter(operator.LimiterConfig{Every: time.Hour, Burst: 1, Size: 50, Now: func() time.Time { return now }})
	if err := l.Take("192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := l.Take(fmt.Sprintf("2001:db8:%x::1", i)); err != nil {
			t.Fatal(err)
		}
		if err := l.Take("192.0.2.1"); err == nil {
			t.Fatalf("forgotten after %d other addresses", i)
		}
	}
	if l.Held() != 50 {
		t.Errorf("%d addresses are held", l.Held())
	}
}
