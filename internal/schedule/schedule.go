// Package schedule says when something is due that repeats: never, every so many
// hours, or daily at a time of a time zone. Each thing has a place of its own in
// the period, which its id decides, so that many of them spread evenly and each
// keeps its time across restarts and replicas.
package schedule

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a machine may have no time zones

	"gatehouse/internal/fault"
)

// Schedule is when something is due. The zero value is none: whoever has it falls
// back on another one.
type Schedule struct {
	off    bool
	every  time.Duration // 0: daily
	hour   int
	minute int
	zone   *time.Location // of a daily one
}

// Default is once a day, at whatever time the id decides.
var Default = Schedule{every: 24 * time.Hour}

// Bounds of the hours between two times.
const (
	leastHours = 1
	mostHours  = 24 * 7
)

// window is the part of an hour over which daily ones of one time are spread.
const window = time.Hour

// maxText bounds a schedule as text, in bytes.
const maxText = 100

// Parse reads what [Schedule.String] writes: "" for none, "off", "every 6h", or
// "daily 02:30 Europe/Berlin" (UTC without a zone). What cannot be read is a
// fault of a field.
func Parse(field, text string) (Schedule, error) {
	wrong := func(problem string) (Schedule, error) {
		return Schedule{}, fault.Of(field, problem, "write off, every 6h (1 to 168 hours), or daily 02:30 Europe/Berlin")
	}
	if len(text) > maxText {
		return wrong("is too long")
	}
	words := strings.Fields(text)
	switch {
	case len(words) == 0:
		return Schedule{}, nil
	case len(words) == 1 && words[0] == "off":
		return Schedule{off: true}, nil
	case len(words) == 2 && words[0] == "every":
		hours, err := strconv.Atoi(strings.TrimSuffix(words[1], "h"))
		if err != nil || !strings.HasSuffix(words[1], "h") {
			return wrong("does not say after how many hours")
		}
		if hours < leastHours || hours > mostHours {
			return wrong(fmt.Sprintf("must be between %d and %d hours", leastHours, mostHours))
		}
		return Schedule{every: time.Duration(hours) * time.Hour}, nil
	case (len(words) == 2 || len(words) == 3) && words[0] == "daily":
		at, err := time.Parse("15:04", words[1])
		if err != nil {
			return wrong("has no time of day such as 02:30")
		}
		zone := time.UTC
		if len(words) == 3 {
			// "Local" would be whatever zone the server's machine is set to.
			if zone, err = time.LoadLocation(words[2]); err != nil || words[2] == "Local" {
				return wrong("names a time zone that does not exist")
			}
		}
		return Schedule{hour: at.Hour(), minute: at.Minute(), zone: zone}, nil
	}
	return wrong("is no schedule")
}

// String is the schedule as it is stored; "" for none.
func (s Schedule) String() string {
	switch {
	case s.off:
		return "off"
	case s.every > 0:
		return fmt.Sprintf("every %dh", int(s.every/time.Hour))
	case s.zone != nil:
		return fmt.Sprintf("daily %02d:%02d %s", s.hour, s.minute, s.zone)
	}
	return ""
}

// None reports a schedule that falls back on another.
func (s Schedule) None() bool { return s == Schedule{} }

// Off reports a schedule by which nothing is ever due.
func (s Schedule) Off() bool { return s.off }

// Or is the schedule, or another one where it is none.
func (s Schedule) Or(other Schedule) Schedule {
	if s.None() {
		return other
	}
	return s
}

// Next is the first time after a moment at which something is due, in UTC; zero
// for never. Of a daily one it lies within the hour after the time of day, which
// on the day of a change of clocks may be the one that comes closest.
func (s Schedule) Next(id string, after time.Time) time.Time {
	switch {
	case s.off || s.None():
		return time.Time{}
	case s.every > 0:
		begin := time.Unix(0, 0).UTC().Add(share(id, s.every))
		periods := after.Sub(begin) / s.every
		return begin.Add((periods + 1) * s.every)
	}
	local := after.In(s.zone)
	for day := -1; ; day++ {
		at := time.Date(local.Year(), local.Month(), local.Day()+day, s.hour, s.minute, 0, 0, s.zone).Add(share(id, window))
		if at.After(after) {
			return at.UTC()
		}
	}
}

// share is an id's place in a period, in whole seconds.
func share(id string, period time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	sum := h.Sum64()
	// FNV leaves the high bits of short texts alike; this mixes them (the last
	// step of MurmurHash3).
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	return time.Duration(sum%uint64(period/time.Second)) * time.Second
}
