package cpu_test

import (
	"fmt"
	"log"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
)

// Three learning rates fit the weights of one linear layer together.
func Example() {
	s := kernels.NewSpace()
	x := s.Float("x", kernels.Shared, 4, 2)
	targets := s.Int("targets", kernels.Shared, 4)
	tensor := func(name string) kernels.Buffer { return s.Float(name, kernels.PerRun, 3, 2) }
	w, dw, m, v := tensor("w"), tensor("dw"), tensor("m"), tensor("v")
	loss, mean := s.Float("loss", kernels.Scratch, 4), s.Float("mean", kernels.PerRun, 1)
	table := s.Float("adam", kernels.PerRun, 1, kernels.AdamFields)

	step := s.Record("step")
	step.Add(
		kernels.Zero{Y: []kernels.Buffer{dw}},
		kernels.Head{Loss: loss, DW: dw, X: x, W: w, Targets: targets},
		kernels.Sum{Y: mean, X: loss, Scale: 1. / 4},
		kernels.AdamW{
			Params: []kernels.Buffer{w}, Grads: []kernels.Buffer{dw}, M: []kernels.Buffer{m}, V: []kernels.Buffer{v}, Table: table,
		},
	)
	program, err := step.Build()
	check(err)
	backend, err := cpu.New(cpu.Options{})
	check(err)
	machine, err := backend.Load(3, program)
	check(err)
	defer machine.Close()

	check(machine.WriteFloats(x, 0, []float32{1, 0, 0, 1, 1, 1, -1, 0}))
	check(machine.WriteInts(targets, 0, []int32{0, 1, 2, 1}))
	row := make([]float32, kernels.AdamFields)
	for t := 1; t <= 20; t++ {
		for run, lr := range []float64{1e-3, 1e-2, 1e-1} {
			kernels.Adam{LR: lr, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: t}.Row(row)
			check(machine.WriteFloats(table, run, row))
		}
		check(machine.Execute(program))
	}
	for run := range 3 {
		got := make([]float32, 1)
		check(machine.ReadFloats(got, mean, run))
		fmt.Printf("%.3f\n", got[0])
	}
	// Output:
	// 1.080
	// 0.925
	// 0.280
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
