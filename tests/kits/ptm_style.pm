* A bulk CMOS card in the layout of the public predictive models, with figures of this project: for tests only.
* nominal Vdd = 1.1V

.model  nmos  nmos  level = 54

+version = 4.0             binunit = 1               paramchk= 1               mobmod  = 0
+capmod  = 2               igcmod  = 1               igbmod  = 1               geomod  = 1
+diomod  = 1               rdsmod  = 0               rbodymod= 1               rgatemod= 1
+permod  = 1               acnqsmod= 0               trnqsmod= 0

* parameters related to the technology node
+tnom    = 27              epsrox  = 3.9
+eta0    = 0.006           nfactor = 1.9             wint    = 5e-09
+cgso    = 1.5e-10         cgdo    = 1.5e-10         xl      = -3e-08

* parameters customized by the user
+toxe    = 1.9e-09         toxp    = 1.2e-09         toxm    = 1.9e-09         toxref  = 1.9e-09
+lint    = 5e-09
+vth0    = 0.45            k1      = 0.4             u0      = 0.045           vsat    = 120000
+rdsw    = 160             ndep    = 2.5e+18         xj      = 2e-08

* secondary parameters
+ll      = 0               wl      = 0               lln     = 1               wln     = 1
+k2      = 0.01            k3      = 0               k3b     = 0               w0      = 2.5e-06
+dvt0    = 1               dvt1    = 2               dvt2    = -0.03           dvt0w   = 0
+lpe0    = 0               lpeb    = 0               minv    = 0.05            phin    = 0
+dsub    = 0.1             voff    = -0.13           etab    = 0               cdsc    = 0
+ua      = 6e-10           ub      = 1.2e-18         uc      = 0               a0      = 1
+keta    = 0.04            dwg     = 0               dwb     = 0               pclm    = 0.04
+pdiblc1 = 0.001           pdiblc2 = 0.001           drout   = 0.5             pscbe1  = 8e+08
+pscbe2  = 1e-07           fprout  = 0.2             delta   = 0.01            rsh     = 5
+agidl   = 0.0002          bgidl   = 2.1e+09         cgidl   = 0.0002          egidl   = 0.8
+aigc    = 0.012           bigc    = 0.0028          cigc    = 0.002           nigc    = 1
+aigsd   = 0.012           bigsd   = 0.0028          cigsd   = 0.002           poxedge = 1
+xrcrg1  = 12              xrcrg2  = 5               rbpb    = 50              rbpd    = 50
+rbps    = 50              rbdb    = 50              rbsb    = 50              ngcon   = 1
+kt1     = -0.11           ute     = -1.5            at      = 33000           xpart   = 0

.model  pmos  pmos  level = 54

+version = 4.0             binunit = 1               paramchk= 1               mobmod  = 0
+capmod  = 2               igcmod  = 1               igbmod  = 1               geomod  = 1
+diomod  = 1               rdsmod  = 0               rbodymod= 1               rgatemod= 1
+permod  = 1               acnqsmod= 0               trnqsmod= 0

* parameters related to the technology node
+tnom    = 27              epsrox  = 3.9
+eta0    = 0.006           nfactor = 1.9             wint    = 5e-09
+cgso    = 1.5e-10         cgdo    = 1.5e-10         xl      = -3e-08

* parameters customized by the user
+toxe    = 2e-09           toxp    = 1.2e-09         toxm    = 2e-09           toxref  = 2e-09
+lint    = 5e-09
+vth0    = -0.42           k1      = 0.4             u0      = 0.006           vsat    = 65000
+rdsw    = 160             ndep    = 1.9e+18         xj      = 2e-08

* secondary parameters
+ll      = 0               wl      = 0               lln     = 1               wln     = 1
+k2      = -0.01           k3      = 0               k3b     = 0               w0      = 2.5e-06
+dvt0    = 1               dvt1    = 2               dvt2    = -0.03           dvt0w   = 0
+lpe0    = 0               lpeb    = 0               minv    = 0.05            phin    = 0
+dsub    = 0.1             voff    = -0.13           etab    = 0               cdsc    = 0
+ua      = 2e-09           ub      = 5e-19           uc      = 0               a0      = 1
+keta    = -0.05           dwg     = 0               dwb     = 0               pclm    = 0.12
+pdiblc1 = 0.001           pdiblc2 = 0.001           drout   = 0.5             pscbe1  = 8e+08
+pscbe2  = 1e-07           fprout  = 0.2             delta   = 0.01            rsh     = 5
+agidl   = 0.0002          bgidl   = 2.1e+09         cgidl   = 0.0002          egidl   = 0.8
+aigc    = 0.0107          bigc    = 0.00081         cigc    = 0.0002          nigc    = 1
+aigsd   = 0.0107          bigsd   = 0.00081         cigsd   = 0.0002          poxedge = 1
+xrcrg1  = 12              xrcrg2  = 5               rbpb    = 50              rbpd    = 50
+rbps    = 50              rbdb    = 50              rbsb    = 50              ngcon   = 1
+kt1     = -0.11           ute     = -1.5            at      = 33000           xpart   = 0
