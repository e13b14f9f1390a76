package image_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/engine/image"
)

// The expectations in testdata were made by Pillow 13 with testdata/make.py.
type reference struct {
	Resize []struct {
		From, To [2]int
		Filter   image.Filter
		SHA256   string
	}
	Eval []struct {
		From    [2]int
		Size    int
		CropPct float64 `json:"crop_pct"`
		SHA256  string
	}
}

func loadReference(t *testing.T) reference {
	t.Helper()
	raw, err := os.ReadFile("testdata/pillow.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// picture equals picture() in testdata/make.py.
func picture(size [2]int) *image.RGB {
	m := image.New(size[0], size[1])
	for y := range m.Height {
		for x := range m.Width {
			p := m.Pix[3*(y*m.Width+x):]
			p[0] = byte(x*7 + y*13)
			p[1] = byte(x*x + y*3)
			p[2] = byte((x/8+y/8)%2*200 + (x+y)%50)
		}
	}
	return m
}

func digest(pix []byte) string {
	sum := sha256.Sum256(pix)
	return hex.EncodeToString(sum[:])
}

func TestResizeEqualsPillow(t *testing.T) {
	cases := loadReference(t).Resize
	if len(cases) < 50 {
		t.Fatalf("%d cases only", len(cases))
	}
	for _, c := range cases {
		if got := image.Resize(picture(c.From), c.To[0], c.To[1], c.Filter); digest(got.Pix) != c.SHA256 {
			t.Errorf("%v to %v %s differs from Pillow's", c.From, c.To, c.Filter)
		}
	}
}

func TestEvalEqualsTimm(t *testing.T) {
	for _, c := range loadReference(t).Eval {
		e := image.Eval{Size: c.Size, CropPct: c.CropPct, Filter: image.Bicubic}
		dst := make([]byte, e.Bytes())
		e.Apply(dst, picture(c.From))
		if digest(dst) != c.SHA256 {
			t.Errorf("%v to %d at crop_pct %v differs from timm's", c.From, c.Size, c.CropPct)
		}
	}
}

// JPEG decoders round their cosine transforms differently; chroma upsampling
// and colours are Pillow's, so that no pixel is further off than a few levels.
func TestJPEGPixelsAreNearPillows(t *testing.T) {
	for _, name := range []string{"smooth444", "smooth422", "smooth420"} {
		got, err := image.ReadFile(filepath.Join("testdata", name+".jpg"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := image.ReadFile(filepath.Join("testdata", name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		largest, sum := 0, 0
		for i, v := range got.Pix {
			d := max(int(v)-int(want.Pix[i]), int(want.Pix[i])-int(v))
			largest, sum = max(largest, d), sum+d
		}
		if mean := float64(sum) / float64(len(got.Pix)); largest > 4 || mean > 0.2 {
			t.Errorf("%s: pixels differ by up to %d, %.3f on average", name, largest, mean)
		}
	}
}

func TestEvalValidate(t *testing.T) {
	good := image.Eval{Size: 32, CropPct: 0.875, Filter: image.Bicubic}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, e := range []image.Eval{{}, {Size: 32, Filter: image.Bicubic}, {Size: 32, CropPct: 1.1, Filter: image.Bicubic}, {Size: 9999, CropPct: 1, Filter: image.Bicubic}, {Size: 32, CropPct: 1, Filter: "lanczos"}} {
		if e.Validate() == nil {
			t.Errorf("%+v was accepted", e)
		}
	}
}
