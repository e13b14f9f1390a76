package image
import ("testing";"os";"encoding/json";"fmt")
type rs struct{W,H int; F, Raw string; S int; C float64}
type ent struct{Path string; W,H int; Raw string; Rs []rs; Ev []rs}
func diff(a,b []byte) string { if len(a)!=len(b) {return fmt.Sprintf("LEN %d %d",len(a),len(b))}; mx,sum,n:=0,0,0; for i:=range a { d:=int(a[i])-int(b[i]); if d<0{d=-d}; if d>mx{mx=d}; sum+=d; if d>0 {n++}}; return fmt.Sprintf("max %d mean %.4f", mx, float64(sum)/float64(len(a))) }
func TestRef(t *testing.T) {
 var es []ent; b,_:=os.ReadFile("/tmp/dt/ref/ref.json"); if err:=json.Unmarshal(b,&es); err!=nil {t.Fatal(err)}
 for _,e:=range es { m,err:=ReadFile(e.Path); if err!=nil {t.Error(err); continue}
  raw,_:=os.ReadFile(e.Raw)
  line:=fmt.Sprintf("%s %dx%d decode %s", e.Path,m.Width,m.Height,diff(m.Pix,raw))
  pm:=&RGB{Width:e.W,Height:e.H,Pix:raw}
  for _,r:=range e.Rs { want,_:=os.ReadFile(r.Raw); if d:=diff(Resize(pm,r.W,r.H,Filter(r.F)).Pix,want); d!="max 0 mean 0.0000" {line+=fmt.Sprintf(" | resize %d %d %s %s",r.W,r.H,r.F,d)} }
  for _,r:=range e.Ev { want,_:=os.ReadFile(r.Raw); dst:=make([]byte,3*r.S*r.S); Eval{r.S,r.C,Filter(r.F)}.Apply(dst,pm); if d:=diff(dst,want); d!="max 0 mean 0.0000" {line+=fmt.Sprintf(" | eval %d %v %s %s",r.S,r.C,r.F,d)} }
  fmt.Println(line)
 }
}
