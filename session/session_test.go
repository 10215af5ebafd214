package session

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	dir, _ := os.Getwd()
	s := New("```eta\nruns = load \"../../shared/data/steplaw/dense_lr_bs_loss.csv\" loss=\"smooth loss\" batch=bs*2048\ncurves = curves runs by=N,D form=quadratic window=2 batch=tuned\nlaw = law curves\ntarget = predict law N=7B D=1.4T at=1e-3\nx = lw curves\ny = law runs\nz = law curvs form=pwer\nexpect target.lr within 10% of 4.6e-4\n```\n", dir)
	start := time.Now()
	s.Wait(10 * time.Second)
	fmt.Println(time.Since(start))
	for _, c := range s.Cells() {
		fmt.Println(c.Number, c.Name, c.Status, c.Err, c.WaitsFor, c.Took)
		for _, n := range c.Notes {
			fmt.Println("    ", n)
		}
		switch v := c.Value.(type) {
		case Law:
			fmt.Println(v.Text())
		case Prediction:
			fmt.Printf("%+v\n", *v.Prediction)
		}
	}
}
