package conditional_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"gatehouse/conditionalaccess"
	"gatehouse/lab/internal/conditional"
)

// BenchmarkRatio decides the same sign-ins by the same policies with this
// package and with the library. The ratio does not depend on the machine as
// much as the times do.
func BenchmarkRatio(b *testing.B) {
	r := &random{rand.New(rand.NewPCG(1, 2))}
	w := r.world()
	for len(w.policies) < 200 {
		w.policies = append(w.policies, r.policy(len(w.policies)))
	}
	w.compile()
	const count = 200
	mine, theirs := make([]conditional.SignIn, count), make([]conditionalaccess.SignIn, count)
	for i := range count {
		line := r.signIn()
		if err := json.Unmarshal(line, &mine[i]); err != nil {
			b.Fatal(err)
		}
		if err := theirs[i].UnmarshalJSON(line); err != nil {
			b.Fatal(err)
		}
	}
	var plain, compiled time.Duration
	for b.Loop() {
		start := time.Now()
		for i := range mine {
			conditional.Evaluate(w.objects, &mine[i], w.lab)
		}
		between := time.Now()
		for i := range theirs {
			w.compiled.Evaluate(&theirs[i], &w.result)
		}
		plain, compiled = plain+between.Sub(start), compiled+time.Since(between)
	}
	b.ReportMetric(float64(plain)/float64(compiled), "plain/compiled")
	b.ReportMetric(float64(compiled.Nanoseconds())/float64(b.N*count), "ns/compiled-sign-in")
}
