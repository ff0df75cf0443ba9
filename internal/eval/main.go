// Command eval measures Gatehouse against sample data that is not part of the
// repository: texts and answers judged by people. It prints a summary per part
// and exits with 1 if a bar is missed, 3 if the data could not be read.
//
//	go run ./internal/eval --data DIR
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// errBar says that a part ran and missed its bar.
var errBar = errors.New("bar missed")

// parts are what is measured, in order.
var parts = []struct {
	name string
	run  func(dir string, w io.Writer) error
}{
	{"explain", evalExplain},
	{"explain, perturbed", evalPerturbed},
	{"graph", evalGraph},
	{"decode", evalDecode},
	{"policies", evalPolicies},
}

func main() {
	data := flag.String("data", "", "`directory` with the sample data")
	flag.Parse()
	if *data == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: eval --data DIR")
		os.Exit(2)
	}
	os.Exit(run(*data, os.Stdout, os.Stderr))
}

// run measures all parts and gives the exit code.
func run(dir string, out, talk io.Writer) int {
	code := 0
	for _, p := range parts {
		fmt.Fprintf(out, "== %s\n", p.name)
		err := p.run(dir, out)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errBar):
			code = max(code, 1)
		default:
			code = 3
		}
		fmt.Fprintf(talk, "eval: %s: %v\n", p.name, err)
	}
	return code
}
