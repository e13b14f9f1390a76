package data

import (
	"bytes"
	"math"
	"testing"
)

// picture is 3x3, its red channel 1..9, green ten times that, blue 0.
func picture() []byte {
	p := make([]byte, 27)
	for i := range 9 {
		p[3*i], p[3*i+1] = byte(i+1), byte(10*(i+1))
	}
	return p
}

func reds(p []byte) []byte {
	var out []byte
	for i := 0; i < len(p); i += 3 {
		out = append(out, p[i])
	}
	return out
}

func TestCropMovesAndPadsWithBlack(t *testing.T) {
	tests := []struct {
		x, y float64 // draws; padding 1 gives moves -1, 0, 1
		want []byte
	}{
		{0.5, 0.5, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{0.0, 0.5, []byte{0, 1, 2, 0, 4, 5, 0, 7, 8}},
		{0.99, 0.99, []byte{5, 6, 0, 8, 9, 0, 0, 0, 0}},
	}
	for _, tt := range tests {
		p := picture()
		crop{1}.apply(p, make([]byte, 27), 3, &draws{cropX: tt.x, cropY: tt.y})
		if !bytes.Equal(reds(p), tt.want) {
			t.Errorf("crop at (%v,%v) = %v, want %v", tt.x, tt.y, reds(p), tt.want)
		}
	}
}

func TestFlipMirrorsPixels(t *testing.T) {
	p := picture()
	flip{}.apply(p, nil, 3, &draws{flip: 0.6})
	if !bytes.Equal(p, picture()) {
		t.Error("flipped at a draw of 0.6")
	}
	flip{}.apply(p, nil, 3, &draws{flip: 0.4})
	if want := []byte{3, 2, 1, 6, 5, 4, 9, 8, 7}; !bytes.Equal(reds(p), want) || p[1] != 30 {
		t.Errorf("flipped = %v, want %v with its colours", reds(p), want)
	}
}

func TestRotateQuarterTurn(t *testing.T) {
	p := picture()
	rotate{90}.apply(p, make([]byte, 27), 3, &draws{angle: 1})
	if want := []byte{3, 6, 9, 2, 5, 8, 1, 4, 7}; !bytes.Equal(reds(p), want) {
		t.Errorf("turned by 90 degrees = %v, want %v", reds(p), want)
	}
	p = picture()
	rotate{90}.apply(p, make([]byte, 27), 3, &draws{angle: 0.5})
	if !bytes.Equal(p, picture()) {
		t.Error("turned at an angle of 0")
	}
}

func TestJitterFormulas(t *testing.T) {
	// Brightness 1.5, the others 1: values times 1.5, capped.
	p := []byte{100, 200, 10}
	jitter{0.5}.apply(p, nil, 1, &draws{factors: [3]float64{1, 0.5, 0.5}, order: []int{0, 1, 2}})
	if want := []byte{150, 255, 15}; !bytes.Equal(p, want) {
		t.Errorf("brightness 1.5 = %v, want %v", p, want)
	}
	// Saturation 0: the pixel's gray, (19595 R + 38470 G + 7471 B) / 65536.
	p = []byte{100, 200, 10}
	jitter{1}.apply(p, nil, 1, &draws{factors: [3]float64{0.5, 0.5, 0}, order: []int{2, 1, 0}})
	if want := []byte{148, 148, 148}; !bytes.Equal(p, want) {
		t.Errorf("saturation 0 = %v, want %v", p, want)
	}
	// Contrast 0: the mean gray everywhere.
	p = []byte{0, 0, 0, 200, 200, 200}
	jitter{1}.apply(p, nil, 1, &draws{factors: [3]float64{0.5, 0, 0.5}, order: []int{1, 0, 2}})
	if want := []byte{100, 100, 100, 100, 100, 100}; !bytes.Equal(p, want) {
		t.Errorf("contrast 0 = %v, want %v", p, want)
	}
}

func TestDrawsAreSpreadOut(t *testing.T) {
	var sum [4]float64
	const n = 4000
	for i := range n {
		d := newDraws(1, 2, i)
		for j, v := range []float64{d.cropX, d.cropY, d.flip, d.angle} {
			sum[j] += v
		}
	}
	for j, s := range sum {
		if math.Abs(s/n-0.5) > 0.02 {
			t.Errorf("mean of draw %d is %v, want about 0.5", j, s/n)
		}
	}
}
