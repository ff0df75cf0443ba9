package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
)

// barLost is how much accuracy a change of a text's dress may cost, in points,
// and how much all changes together may cost on average. A cut takes away the
// cause itself where it stood at the end, so it counts in the average only; its
// own bar is that what is left is not answered with false certainty.
const barLost = 3

var anyGUID = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

const cut = "cut at 60 %"

// perturbations are changes that happen to texts on their way to a person:
// none of them changes the cause.
var perturbations = []struct {
	name  string
	apply func(string) string
}{
	{"upper case", strings.ToUpper},
	{"lower case", strings.ToLower},
	{"line breaks", func(s string) string { return hardWrap(s, 60) }},
	{cut, func(s string) string {
		r := []rune(s)
		return string(r[:len(r)*6/10])
	}},
	{"other GUIDs", func(s string) string {
		return anyGUID.ReplaceAllStringFunc(s, func(id string) string {
			if strings.HasPrefix(id, "0000000") {
				return id // Microsoft's own ids mean something
			}
			sum := sha256.Sum256([]byte(id))
			h := hex.EncodeToString(sum[:16])
			return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
		})
	}},
	{"URL escaped", url.QueryEscape},
	{"JSON escaped", escapeJSON},
	{"JSON escaped twice", func(s string) string { return escapeJSON(escapeJSON(s)) }},
	{"XML escaped", html.EscapeString},
	{"log prefixes", func(s string) string {
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = fmt.Sprintf("2026-11-22T09:14:%02d.118Z ERROR [sync-worker-3] %s", i%60, lines[i])
		}
		return strings.Join(lines, "\n")
	}},
}

func escapeJSON(s string) string {
	encoded, _ := json.Marshal(s) // strings always encode
	return string(encoded)
}

// hardWrap breaks lines at blanks before the given column.
func hardWrap(s string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.SplitSeq(s, " ") {
		if column > 0 && column+1+len(word) > width {
			b.WriteByte('\n')
			column = 0
		} else if column > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
		column += 1 + len(word)
	}
	return b.String()
}

// evalPerturbed measures how much of the accuracy each change costs, and what
// two errors in one paste do: there either label counts.
func evalPerturbed(dir string, w io.Writer) error {
	samples, err := readSamples(filepath.Join(dir, "error-corpus", "dev.jsonl"))
	if err != nil {
		return err
	}
	accepts := func(x sample, category string) bool {
		return category == x.Label.Category || slices.Contains(x.Label.CategoryAlso, category)
	}
	// measure gives the share of right answers, of all and of the certain ones.
	measure := func(change func(int, sample) string, also func(int) []sample) (all, certain float64) {
		right, sure, sureRight := 0, 0, 0
		for i, x := range samples {
			d := diagnosis.Explain(change(i, x))
			good := slices.ContainsFunc(append(also(i), x), func(x sample) bool { return accepts(x, d.Category) })
			if good {
				right++
			}
			if d.Confidence == diagnosis.High {
				sure++
				if good {
					sureRight++
				}
			}
		}
		return 100 * share(right, len(samples)), 100 * share(sureRight, sure)
	}
	alone := func(int) []sample { return nil }
	fmt.Fprintf(w, "%-28s %9s %26s\n", "", "category", "of high confidence, right")
	plain, certain := measure(func(_ int, x sample) string { return x.Text }, alone)
	fmt.Fprintf(w, "%-28s %8.1f%% %25.1f%%\n", "as pasted", plain, certain)
	total, runs := 0.0, 0
	missed := func(format string, args ...any) {
		err = fmt.Errorf(format+": %w", append(args, errBar)...)
		fmt.Fprintln(w, err)
	}
	lost := func(name string, got, certain float64) {
		fmt.Fprintf(w, "%-28s %8.1f%% %25.1f%%\n", name, got, certain)
		total, runs = total+plain-got, runs+1
		if name != cut && plain-got > barLost {
			missed("%s costs %.1f points, at most %d may be lost", name, plain-got, barLost)
		}
		if certain < 100*barConfident {
			missed("%s: %.1f %% of the answers with high confidence are right, want %.1f %%", name, certain, 100*barConfident)
		}
	}
	for _, p := range perturbations {
		got, certain := measure(func(_ int, x sample) string { return p.apply(x.Text) }, alone)
		lost(p.name, got, certain)
	}
	other := func(i int) sample { return samples[(i+len(samples)/2)%len(samples)] }
	got, certain := measure(func(i int, x sample) string { return x.Text + "\n\n" + other(i).Text }, func(i int) []sample { return []sample{other(i)} })
	lost("two errors in one paste", got, certain)
	if mean := total / float64(runs); mean > barLost {
		missed("the changes cost %.1f points on average, at most %d may be lost", mean, barLost)
	} else {
		fmt.Fprintf(w, "%-28s %8.1f points lost on average\n", "all changes", mean)
	}
	return err
}
