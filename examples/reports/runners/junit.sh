mkdir -p results/unit
cat > results/unit/TEST-basket.xml <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="shop.BasketTest" tests="4" failures="1" errors="0" skipped="1" time="0.262">
  <testcase classname="shop.BasketTest" name="starts empty" time="0.012"/>
  <testcase classname="shop.BasketTest" name="adds up prices" time="0.150"/>
  <testcase classname="shop.BasketTest" name="takes a voucher" time="0.100">
    <failure message="expected 9.00 but was 10.00" type="AssertionError">at shop.BasketTest.voucher(BasketTest.java:41)</failure>
  </testcase>
  <testcase classname="shop.BasketTest" name="converts currencies"><skipped/></testcase>
</testsuite>
XML
cat > results/unit/TEST-price.xml <<'XML'
<testsuite name="shop.PriceTest" tests="1" time="0.002">
  <testcase classname="shop.PriceTest" name="rounds half up" time="0.002"/>
</testsuite>
XML
echo "5 tests, 1 failed"
