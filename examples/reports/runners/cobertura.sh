mkdir -p results
cat > results/coverage.xml <<'XML'
<?xml version="1.0"?>
<coverage line-rate="0.75" branch-rate="0.5" version="1.9" timestamp="0">
  <packages><package name="shop"><classes>
    <class name="basket" filename="shop/basket.py"><methods/><lines>
      <line number="1" hits="3"/>
      <line number="2" hits="3" branch="true" condition-coverage="50% (1/2)"/>
      <line number="3" hits="1"/>
      <line number="4" hits="0"/>
    </lines></class>
  </classes></package></packages>
</coverage>
XML
echo "75% of the lines"
