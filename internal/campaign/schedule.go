package campaign

import (
	"slices"
	"time"
)

// The hours of the day, in the campaign's zone, between which people are written to.
const (
	fromHour  = 9
	untilHour = 18
)

// Defaults are the settings that a campaign begins with.
func Defaults() Settings {
	return Settings{Remind: true, MailUsernames: true, Days: []int{3, 7, 14}, Before: []int{2}, Zone: "UTC"}
}

// location is the zone of the settings; UTC where this machine does not know it.
func (s Settings) location() *time.Location {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Soon is the first moment from now on at which people may be written to.
func (s Settings) Soon(now time.Time) time.Time {
	local := now.In(s.location())
	switch {
	case local.Hour() < fromHour:
		return s.at(local, 0)
	case local.Hour() >= untilHour:
		return s.at(local, 1)
	}
	return now.UTC()
}

// at is the hour of writing, so many days after a moment.
func (s Settings) at(moment time.Time, days int) time.Time {
	local := moment.In(s.location())
	return time.Date(local.Year(), local.Month(), local.Day()+days, fromHour, 0, 0, 0, s.location()).UTC()
}

// Next is when somebody is reminded again who was at a moment: the next day of the
// schedule, which is never the same one; nil for never. Days count from the start
// and back from the deadline, in the campaign's zone.
func (s Settings) Next(start, after time.Time) *time.Time {
	var all []time.Time
	for _, d := range s.Days {
		all = append(all, s.at(start, d))
	}
	if s.Deadline != nil {
		for _, d := range s.Before {
			all = append(all, s.at(*s.Deadline, -d))
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	earliest := s.at(after, 1)
	for _, t := range all {
		if !t.Before(earliest) {
			return &t
		}
	}
	return nil
}

// firstReminder is when somebody is asked who joins now; nil while nobody is.
func (s *Service) firstReminder(r *row, now time.Time) *time.Time {
	if r.State != Running && r.State != Paused || !r.Remind {
		return nil
	}
	first := r.campaign().Soon(now)
	return &first
}
