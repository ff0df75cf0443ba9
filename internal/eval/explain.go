package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"gatehouse/internal/diagnosis"
)

// Bars of the explain part, as shares of all texts; an answer is right if it is
// the label or one that the label accepts beside it.
const (
	barCategory  = 0.97
	barActor     = 0.92
	barConfident = 0.98 // of the answers with high confidence
)

// sample is one judged text.
type sample struct {
	ID         string `json:"id"`
	Text       string `json:"text"`
	Confidence string `json:"confidence"` // of the judge
	Label      struct {
		Category     string   `json:"category"`
		CategoryAlso []string `json:"category_also"`
		Actor        string   `json:"actor"`
		ActorAlso    []string `json:"actor_also"`
	} `json:"label"`
}

// scores counts right answers.
type scores struct{ texts, category, strict, actor int }

func (s *scores) add(x sample, d diagnosis.Diagnosis) bool {
	s.texts++
	right := d.Category == x.Label.Category || slices.Contains(x.Label.CategoryAlso, d.Category)
	if right {
		s.category++
	}
	if d.Category == x.Label.Category {
		s.strict++
	}
	if string(d.Actor) == x.Label.Actor || slices.Contains(x.Label.ActorAlso, string(d.Actor)) {
		s.actor++
	}
	return right
}

// evalExplain measures the diagnosis of pasted texts.
func evalExplain(dir string, w io.Writer) error {
	samples, err := readSamples(filepath.Join(dir, "error-corpus", "dev.jsonl"))
	if err != nil {
		return err
	}
	var all, sure scores
	confident := map[diagnosis.Confidence]*scores{diagnosis.High: {}, diagnosis.Medium: {}, diagnosis.Low: {}}
	confusions := map[[2]string]int{}
	for _, x := range samples {
		d := diagnosis.Explain(x.Text)
		if !all.add(x, d) {
			confusions[[2]string{x.Label.Category, d.Category}]++
			fmt.Fprintf(w, "%s: want %s, got %s (%s)\n", x.ID, x.Label.Category, d.Category, d.Confidence)
		}
		confident[d.Confidence].add(x, d)
		if x.Confidence == "high" {
			sure.add(x, d)
		}
	}
	printConfusions(w, confusions)
	fmt.Fprintf(w, "%-28s %6s %9s %9s %9s\n", "", "texts", "category", "strict", "actor")
	printScores(w, "all", all)
	printScores(w, "judge's confidence high", sure)
	for _, c := range []diagnosis.Confidence{diagnosis.High, diagnosis.Medium, diagnosis.Low} {
		printScores(w, "our confidence "+string(c), *confident[c])
	}
	high := confident[diagnosis.High]
	for _, bar := range []struct {
		name string
		got  float64
		want float64
	}{
		{"category", share(all.category, all.texts), barCategory},
		{"actor", share(all.actor, all.texts), barActor},
		{"category at high confidence", share(high.category, high.texts), barConfident},
	} {
		if bar.got < bar.want {
			err = fmt.Errorf("%s %.1f %%, want %.1f %%: %w", bar.name, 100*bar.got, 100*bar.want, errBar)
			fmt.Fprintln(w, err)
		}
	}
	return err
}

func readSamples(name string) ([]sample, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening samples: %w", err)
	}
	defer f.Close()
	var samples []sample
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x sample
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			return nil, fmt.Errorf("reading sample %d: %w", len(samples)+1, err)
		}
		samples = append(samples, x)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading samples: %w", err)
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("reading samples: %s is empty", name)
	}
	return samples, nil
}

func printConfusions(w io.Writer, confusions map[[2]string]int) {
	type row struct {
		pair [2]string
		n    int
	}
	var rows []row
	for pair, n := range confusions {
		rows = append(rows, row{pair, n})
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.pair[0], b.pair[0]), cmp.Compare(a.pair[1], b.pair[1]))
	})
	for _, r := range rows {
		fmt.Fprintf(w, "confused %3d  %s -> %s\n", r.n, r.pair[0], r.pair[1])
	}
}

func printScores(w io.Writer, name string, s scores) {
	fmt.Fprintf(w, "%-28s %6d %8.1f%% %8.1f%% %8.1f%%\n", name, s.texts,
		100*share(s.category, s.texts), 100*share(s.strict, s.texts), 100*share(s.actor, s.texts))
}

// share is part/whole; 1 of nothing.
func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}
